// Questions as plywood asks them, over the datasource "events" of a server: node plywood.js FOLDER PORT, where FOLDER has node_modules. Prints an object of answers.
'use strict';
const path = require('path');
const [folder, port] = process.argv.slice(2);
const from = name => require(require.resolve(name, { paths: [path.resolve(folder)] }));
const { External, Expression, $, ply } = from('plywood');
const { druidRequesterFactory } = from('plywood-druid-requester');

const requester = druidRequesterFactory({ host: `127.0.0.1:${port}`, timeout: 60000 });
const span = $('__time').overlap(new Date('2024-03-08Z'), new Date('2024-03-11Z'));
const rows = $('events').filter(span);
const sum = (what, of = $('events')) => of.sum('$' + what);
const questions = {
  totals: ply().apply('events', rows).apply('clicks', sum('clicks')).apply('spend', sum('spend')).apply('rows', '$events.sum($n)'),
  top: rows.split('$country', 'Country').apply('clicks', sum('clicks')).sort('$clicks', 'descending').limit(2),
  days: rows.split($('__time').timeBucket('P1D', 'Europe/Berlin'), 'T').apply('clicks', sum('clicks')).sort('$T', 'ascending'),
  two: rows.filter($('country').isnt('US')).split({ Country: '$country', Device: '$device' }).apply('clicks', sum('clicks')).apply('each', '$events.sum($spend) / $events.sum($clicks)')
    .sort('$clicks', 'descending').limit(10),
  nested: ply().apply('events', rows).apply('clicks', sum('clicks')).apply('countries', $('events').split('$country', 'Country').apply('clicks', sum('clicks')).sort('$clicks', 'descending').limit(2)
    .apply('days', $('events').split($('__time').timeBucket('P1D', 'Etc/UTC'), 'T').apply('clicks', sum('clicks')).sort('$T', 'ascending'))),
  distinct: ply().apply('events', rows).apply('countries', '$events.countDistinct($country)'),
  having: rows.split('$country', 'Country').apply('clicks', sum('clicks')).filter('$clicks > 1100').sort('$Country', 'ascending').limit(10),
  tags: rows.split('$tags', 'Tag').apply('n', sum('n')).sort('$n', 'descending').limit(5),
  letters: rows.split($('country').substr(0, 1), 'Letter').apply('n', sum('n')).sort('$Letter', 'ascending').limit(5),
  matches: ply().apply('events', rows.filter($('country').match('^[DF]'))).apply('n', sum('n')),
  contains: ply().apply('events', rows.filter($('country').contains('s', 'ignoreCase'))).apply('n', sum('n')),
  part: ply().apply('events', rows).apply('web', sum('clicks', $('events').filter($('device').is('web')))),
  hours: rows.split($('__time').timePart('HOUR_OF_DAY', 'Etc/UTC'), 'H').apply('n', sum('n')).sort('$H', 'ascending').limit(3),
  fallback: rows.split($('country').fallback('none'), 'X').apply('n', sum('n')).sort('$X', 'ascending').limit(5),
  compare: rows.split('$country', 'Country').apply('a', sum('clicks', $('events').filter($('__time').overlap(new Date('2024-03-08Z'), new Date('2024-03-09Z')))))
    .apply('b', sum('clicks', $('events').filter($('__time').overlap(new Date('2024-03-09Z'), new Date('2024-03-10Z'))))).apply('d', '$a - $b').sort('$Country', 'ascending').limit(5),
  raw: $('events').filter($('__time').overlap(new Date('2024-03-08Z'), new Date('2024-03-08T01:00Z'))).select('__time', 'country', 'clicks').limit(5),
};

(async () => {
  const druid = External.getConstructorFor('druid');
  const out = { version: await druid.getVersion(requester), sources: await druid.getSourceList(requester) };
  const events = await External.fromJS({ engine: 'druid', version: out.version, source: 'events', timeAttribute: '__time', allowSelectQueries: true, allowEternity: true }, requester).introspect();
  out.attributes = Object.fromEntries(events.toJS().attributes.map(a => [a.name, a.type]));
  for (const [name, question] of Object.entries(questions)) {
    try {
      out[name] = (await Expression.fromJSLoose(question).compute({ events })).toJS().data;
    } catch (e) {
      out[name] = { error: e.message };
    }
  }
  console.log(JSON.stringify(out));
})().catch(e => { console.error(e); process.exit(1); });
