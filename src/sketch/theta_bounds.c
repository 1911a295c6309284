/* Confidence bounds of a count of n hashes, each kept with probability theta: how many items there were so that so few, or so many, were kept is as unlikely as
 * a deviation of the given size. Below 120 hashes from the binomial distribution itself, above by its normal approximation with continuity correction. */
#include <math.h>

#include "sketch/theta_private.h"

#define EXACT_BELOW 120

/* Probability of a normal deviate beyond 1, 2, 3. */
static const double tail[4] = {0.5, 0.15865525393145707, 0.022750131948179207, 0.0013498980316300945};

static double normal_lower(double n, double theta, double dev)
{
    double half = n - 0.5, b = dev * sqrt((1 - theta) / theta), c = half / theta;
    double root = b * sqrt(b * b + 4 * c);
    return c + b * b / 2 - root / 2;
}

static double normal_upper(double n, double theta, double dev)
{
    double half = n + 0.5, b = dev * sqrt((1 - theta) / theta), c = half / theta;
    double root = b * sqrt(b * b + 4 * c);
    return c + b * b / 2 + root / 2;
}

/* P(at most n of `of` are kept). */
static double at_most(double n, double of, double theta)
{
    double log_term = of * log1p(-theta), odds = log(theta) - log1p(-theta), sum = 0;
    for (double i = 0; i <= n; i++) {
        sum += exp(log_term);
        log_term += log((of - i) / (i + 1)) + odds;
    }
    return sum < 1 ? sum : 1;
}

/* The largest count of items of which it is likelier than `delta` to keep n or more being too many; found by halving between n and hi. */
static double exact_lower(double n, double theta, double delta, double hi)
{
    double lo = n;
    while (hi - lo > 1e-9 * hi && hi - lo > 1e-9) {
        double mid = lo + (hi - lo) / 2;
        if (1 - at_most(n - 1, mid, theta) > delta) hi = mid;
        else lo = mid;
    }
    return floor(hi);
}

static double exact_upper(double n, double theta, double delta, double lo)
{
    double hi = lo * 2 + 10;
    while (at_most(n, hi, theta) > delta) hi *= 2;
    while (hi - lo > 1e-9 * hi && hi - lo > 1e-9) {
        double mid = lo + (hi - lo) / 2;
        if (at_most(n, mid, theta) > delta) lo = mid;
        else hi = mid;
    }
    return ceil(lo);
}

double hg_theta_lower_bound(const struct hg_theta *s, unsigned std_devs)
{
    double n = s->count, theta = hg_theta_fraction(s), est = hg_theta_estimate(s);
    unsigned dev = std_devs > 3 ? 3 : std_devs;
    if (s->theta == THETA_MAX || s->count == 0) return n;
    double low = s->count > EXACT_BELOW ? normal_lower(n, theta, dev) - 0.5 : exact_lower(n, theta, tail[dev], est);
    return fmax(n, fmin(est, low));
}

double hg_theta_upper_bound(const struct hg_theta *s, unsigned std_devs)
{
    double n = s->count, theta = hg_theta_fraction(s), est = hg_theta_estimate(s);
    unsigned dev = std_devs > 3 ? 3 : std_devs;
    if (s->theta == THETA_MAX) return n;
    if (s->count == 0) return ceil(log(tail[dev]) / log1p(-theta));
    double high = s->count > EXACT_BELOW ? normal_upper(n, theta, dev) + 0.5 : exact_upper(n, theta, tail[dev], est);
    return fmax(est, high);
}
