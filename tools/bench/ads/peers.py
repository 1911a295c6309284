"""DuckDB and ClickHouse (chDB), in this process, with two threads each, no HTTP: what they take is their engine's time, and for DuckDB making Python rows, for chDB making JSON text."""
import os
import shutil
import time

from henge import folder_bytes

THREADS = 2


class DuckDB:
    name = "duckdb"

    def __init__(self, folder):
        import duckdb
        self.version = f"DuckDB {duckdb.__version__}"
        self.path = os.path.join(folder, "ads.duckdb")
        self.con = duckdb.connect(self.path)
        self.con.execute(f"pragma threads={THREADS}")
        self.con.execute("set timezone='UTC'")

    def load(self, rows, again):
        there = self.con.execute("select count(*) from information_schema.tables where table_name = 'ads'").fetchone()[0]
        if again or not there:
            self.con.execute("drop table if exists ads")
            self.con.execute(f"create table ads as select * from '{rows}/part-*.parquet'")
            self.con.execute("checkpoint")
        return {"bytes": os.path.getsize(self.path)}

    def pick(self):
        ads = [r[0] for r in self.con.execute("select ad_id from ads group by ad_id order by hash(ad_id) limit 2000").fetchall()]
        adv = self.con.execute("select advertiser_id from ads group by 1 order by count(*) desc limit 1 offset 20").fetchone()[0]
        return {"ads": ads, "adv": adv}

    def run(self, question):
        began = time.perf_counter()
        self.con.execute(question[1]).fetchall()
        return time.perf_counter() - began

    def totals(self, question):
        return list(self.con.execute(f"select count(*), sum(i), sum(c), sum(s) from ({question[1]})").fetchone()), 0

    def stop(self):
        self.con.close()


class ClickHouse:
    name = "clickhouse"

    def __init__(self, folder):
        import chdb
        from chdb import session
        self.folder = os.path.join(folder, "chdb")
        self.session = session.Session(self.folder)
        self.version = f"ClickHouse {self.session.query('select version()').data().strip().strip(chr(34))} (chDB {chdb.__version__})"
        self.session.query(f"set max_threads = {THREADS}")

    def load(self, rows, again):
        ask = self.session.query
        ask("create database if not exists b")
        if again:
            ask("drop table if exists b.ads")
        if ask("exists b.ads").data().strip() != "1":
            low = lambda *names: ", ".join(f"{n} LowCardinality(String)" for n in names)
            ask(f"""create table b.ads (hour DateTime('UTC'), {low('advertiser_id', 'campaign_id')}, ad_group_id String, ad_id String,
                {low('country', 'device', 'placement', 'objective', 'age_bucket', 'gender')},
                impressions Int64, clicks Int64, conversions Int64, video_ms Int64, spend Float64) engine = MergeTree order by (advertiser_id, campaign_id, ad_id, hour)""")
            ask(f"insert into b.ads select * from file('{rows}/part-*.parquet')")
            ask("optimize table b.ads final")
        size = ask("select sum(bytes_on_disk) from system.parts where database = 'b' and table = 'ads' and active").data().strip()
        return {"bytes": int(size)}

    def run(self, question):
        sql = question[1].replace(" from ads", " from b.ads")
        began = time.perf_counter()
        self.session.query(sql, "JSONCompact").data()
        return time.perf_counter() - began

    def totals(self, question):
        sql = question[1].replace(" from ads", " from b.ads")
        got = self.session.query(f"select count(), sum(i), sum(c), sum(s) from ({sql})", "TSV").data().split()
        return [int(got[0]), int(got[1]), int(got[2]), float(got[3])], 0

    def stop(self):
        self.session.close()
