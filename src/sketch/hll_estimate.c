/* Estimates and bounds. Coupons: cubic interpolation of the collisions expected in 2^26 coupons. Registers: HIP while it holds, else the composite of
 * the raw HyperLogLog estimate, corrected by interpolation, and linear counting when few registers are set. */
#include "sketch/hll_private.h"

#include <math.h>

#define COUPON_POINTS 40u
static const double coupon_x[COUPON_POINTS] = {
    0, 1, 20, 400, 8000, 160000, 300000, 600000, 900000, 1200000, 1500000, 1800000, 2100000, 2400000, 2700000, 3000000, 3300000, 3600000, 3900000, 4200000,
    4500000, 4800000, 5100000, 5400000, 5700000, 6000000, 6300000, 6600000, 6900000, 7200000, 7500000, 7800000, 8100000, 8400000, 8700000, 9000000, 9300000,
    9600000, 9900000, 10200000,
};
static const double coupon_y[COUPON_POINTS] = {
    0.0, 1.0, 20.0000009437402611, 400.0003963713384110, 8000.1589294602090376, 160063.6067763759638183, 300223.7071597663452849, 600895.5933856170158833,
    902016.8065120954997838, 1203588.4983199508860707, 1505611.8245524743106216, 1808087.9449319066479802, 2111018.0231759352609515,
    2414403.2270142501220107, 2718244.7282051891088486, 3022543.7025524540804327, 3327301.3299219091422856, 3632518.7942584538832307,
    3938197.2836029687896371, 4244337.9901093561202288, 4550942.1100616492331028, 4858010.8438911894336343, 5165545.3961938973516226,
    5473546.9757476449012756, 5782016.7955296505242586, 6090956.0727340159937739, 6400366.0287892958149314, 6710247.8893762007355690,
    7020602.8844453142955899, 7331432.2482349723577499, 7642737.2192891482263803, 7954519.0404754765331745, 8266778.9590033423155546,
    8579518.2264420464634895, 8892738.0987390466034412, 9206439.8362383283674717, 9520624.7036988288164139, 9835293.9703129194676876,
    10150448.9097250290215015, 10466090.8000503256917000,
};
#define COUPON_RSE (0.409 / (1 << 13))

/* Quantiles of the relative error at 1, 2 and 3 standard deviations, lg_k 4 to 12; beyond, the error is normal. [unioned][upper] */
static const double rel_err_table[2][2][9][3] = {
    {
        {{0.207316195, 0.502865572, 0.882303765}, {0.146981579, 0.335426881, 0.557052}, {0.104026721, 0.227683872, 0.365888317},
         {0.073614601, 0.156781585, 0.245740374}, {0.05205248, 0.108783763, 0.168030442}, {0.036770852, 0.075727545, 0.11593785},
         {0.025990219, 0.053145536, 0.080772263}, {0.018373987, 0.037266176, 0.056271814}, {0.012936253, 0.02613829, 0.039387631}},
        {{-0.207805347, -0.355574279, -0.475535095}, {-0.146988328, -0.262390832, -0.360864026}, {-0.103877775, -0.191503663, -0.269311582},
         {-0.073452978, -0.138513438, -0.198487447}, {-0.051982806, -0.099703123, -0.144128618}, {-0.036768609, -0.07138158, -0.104430324},
         {-0.025991325, -0.050854296, -0.0748143}, {-0.01834533, -0.036121138, -0.05327616}, {-0.012920332, -0.025572893, -0.037896952}},
    },
    {
        {{0.254409839, 0.682266712, 1.304022158}, {0.181817353, 0.443389054, 0.778776219}, {0.129432281, 0.295782195, 0.49252279},
         {0.091640655, 0.201175925, 0.323664385}, {0.064858051, 0.138523393, 0.218805328}, {0.045851855, 0.095925072, 0.148635751},
         {0.032454144, 0.067009668, 0.102660669}, {0.022921382, 0.046868565, 0.071307398}, {0.016155679, 0.032825719, 0.049677541}},
        {{-0.256980172, -0.411905944, -0.52651057}, {-0.182332109, -0.310275547, -0.412660505}, {-0.129314228, -0.230142294, -0.315636197},
         {-0.091584836, -0.16834013, -0.236346847}, {-0.06487411, -0.122045231, -0.174112107}, {-0.04591465, -0.08784505, -0.126917615},
         {-0.032433119, -0.062897613, -0.091862929}, {-0.022960633, -0.044875401, -0.065736049}, {-0.016186662, -0.031827816, -0.046973459}},
    },
};

static double rel_err(bool upper, bool unioned, uint32_t lg_k, unsigned sd)
{
    if (lg_k <= 12) return rel_err_table[unioned][upper][lg_k - 4][sd - 1];
    double factor = unioned ? sqrt(3.0 * log(2.0) - 1.0) : sqrt(log(2.0));
    return (upper ? -1.0 : 1.0) * sd * factor / sqrt((double)(1u << lg_k));
}

/* The cubic through four points. */
static double cubic(const double x[4], const double y[4], double at)
{
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        double num = 1, den = 1;
        for (int j = 0; j < 4; j++) {
            if (j == i) continue;
            num *= at - x[j];
            den *= x[i] - x[j];
        }
        sum += y[i] * num / den;
    }
    return sum;
}

/* The first of the four points around `at`; x ascends and x[0] <= at < x[n - 1]. */
static uint32_t four_around(const double *x, uint32_t n, double at)
{
    uint32_t lo = 0, hi = n - 1;
    while (lo + 1 < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (x[mid] <= at) lo = mid;
        else hi = mid;
    }
    return lo == 0 ? 0 : lo == n - 2 ? lo - 2 : lo - 1;
}

static double coupon_curve(uint32_t count)
{
    double c = count;
    if (c >= coupon_x[COUPON_POINTS - 1]) return coupon_y[COUPON_POINTS - 1]; /* no set grows so far */
    uint32_t i = four_around(coupon_x, COUPON_POINTS, c);
    return cubic(coupon_x + i, coupon_y + i, c);
}
double hg_hll_coupon_estimate(uint32_t count) { return fmax(coupon_curve(count), count); }

static double harmonic(uint32_t n)
{
    if (n < 25) { /* the series below is good from 25 */
        double sum = 0;
        for (uint32_t i = n; i >= 1; i--) sum += 1.0 / i;
        return sum;
    }
    double x = n, inv = 1.0 / (x * x), p = inv;
    double sum = log(x) + 0.577215664901532860606512090082 + 1.0 / (2.0 * x);
    sum -= p / 12.0;
    p *= inv;
    sum += p / 120.0;
    p *= inv;
    sum -= p / 252.0;
    p *= inv;
    return sum + p / 240.0;
}

static double linear_estimate(double k, const struct hll_sums *m)
{
    uint32_t unhit = m->cur_min == 0 ? m->at_min : 0;
    if (unhit == 0) return k * log(k / 0.5);
    return k * (harmonic((uint32_t)k) - harmonic(unhit));
}

static double array_composite(const struct hg_hll *s)
{
    static const double strides[] = {1, 2, 3, 5};
    struct hll_sums m;
    hg_hll_sums(s, &m);
    uint32_t lg = s->lg_k;
    double k = (double)(1u << lg);
    double correction = lg == 4 ? 0.673 : lg == 5 ? 0.697 : lg == 6 ? 0.709 : 0.7213 / (1.0 + 1.079 / k);
    double raw = correction * k * k / (m.kxq0 + m.kxq1);
    const double *x = hg_hll_x_table[lg - HG_HLL_MIN_LG_K];
    double stride = lg < 8 ? strides[lg - 4] : 10.0 * (double)(1u << (lg - 8));
    if (raw < x[0]) return 0;
    if (raw > x[HLL_TABLE - 1]) return raw * (stride * (HLL_TABLE - 1) / x[HLL_TABLE - 1]);
    double adjusted = stride * (HLL_TABLE - 1);
    if (raw < x[HLL_TABLE - 1]) {
        uint32_t i = four_around(x, HLL_TABLE, raw);
        double y[4] = {stride * i, stride * (i + 1), stride * (i + 2), stride * (i + 3)};
        adjusted = cubic(x + i, y, raw);
    }
    if (adjusted > 3.0 * k) return adjusted; /* linear counting may be wild here */
    double linear = linear_estimate(k, &m);
    double cross = lg == 4 ? 0.718 : lg == 5 ? 0.672 : 0.64;
    return (adjusted + linear) / 2.0 > cross * k ? adjusted : linear;
}

double hg_hll_composite_estimate(const struct hg_hll *s) { return s->mode == HLL_ARRAY ? array_composite(s) : hg_hll_coupon_estimate(s->count); }

double hg_hll_estimate(const struct hg_hll *s)
{
    if (s->mode != HLL_ARRAY) return hg_hll_coupon_estimate(s->count);
    return s->ooo ? array_composite(s) : s->regs->hip;
}

double hg_hll_lower_bound(const struct hg_hll *s, unsigned sd)
{
    if (sd < 1 || sd > 3) sd = sd < 1 ? 1 : 3;
    if (s->mode != HLL_ARRAY) return fmax(coupon_curve(s->count) / (1.0 + sd * COUPON_RSE), s->count);
    struct hll_sums m;
    hg_hll_sums(s, &m);
    uint32_t k = 1u << s->lg_k, set = m.cur_min == 0 ? k - m.at_min : k;
    return fmax(hg_hll_estimate(s) / (1.0 + rel_err(false, s->ooo, s->lg_k, sd)), set);
}

double hg_hll_upper_bound(const struct hg_hll *s, unsigned sd)
{
    if (sd < 1 || sd > 3) sd = sd < 1 ? 1 : 3;
    if (s->mode != HLL_ARRAY) return fmax(coupon_curve(s->count) / (1.0 - sd * COUPON_RSE), s->count);
    return hg_hll_estimate(s) / (1.0 + rel_err(true, s->ooo, s->lg_k, sd));
}
