// The inner loops of a ConvMixer's training step on a CPU, in fp32: a matrix product, the depthwise convolution, and
// the activation with batch normalisation and the shortcut.
//
// Layout. An activation is a matrix (channels, columns), columns = images * positions. 16 images make a block, a block
// is (positions, 16), and the blocks follow one another; the last one is (positions, rest). So a channel is contiguous
// (batch normalisation reads memory in order and a channel's convolution stays in the cache), and the 16 images side by
// side fill the vector registers at every place of the grid, at its borders too.
//
// Plain C interface, called through ctypes; what returns an int returns 0, or 1 where memory was missing and nothing
// was done. Vectors are those of GCC and Clang, so the compiler chooses the instructions.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int WIDTH = 16;  // floats in a vector register
#elif defined(__AVX__)
constexpr int WIDTH = 8;
#else
constexpr int WIDTH = 4;
#endif
constexpr int LANES = 16;             // images in a block
constexpr int VECTORS = LANES / WIDTH;  // registers that hold one place of a block

typedef float Vector __attribute__((vector_size(WIDTH * 4)));
typedef float LooseVector __attribute__((vector_size(WIDTH * 4), aligned(4), may_alias));
typedef int32_t Integers __attribute__((vector_size(WIDTH * 4)));

inline Vector load(const float* from) { return *reinterpret_cast<const LooseVector*>(from); }
inline void store(float* to, Vector v) { *reinterpret_cast<LooseVector*>(to) = v; }
inline Vector fill(float value) { return value - Vector{}; }
inline double sum(Vector v) {
    double total = 0;
    for (int i = 0; i < WIDTH; ++i) total += v[i];
    return total;
}

// Room that is asked for before a parallel region, where failing would end the process: a part for each thread.
class Room {
public:
    Room(int threads, int64_t floats)
        : floats_((std::max<int64_t>(floats, 1) + 15) / 16 * 16),
          start_(static_cast<float*>(::operator new[](sizeof(float) * floats_ * threads, ALIGNED, std::nothrow))) {}
    ~Room() { ::operator delete[](start_, ALIGNED); }
    Room(const Room&) = delete;
    bool failed() const { return !start_; }
    float* of(int thread) const { return start_ + floats_ * thread; }
    float* mine() const {
#if defined(_OPENMP)
        return of(omp_get_thread_num());
#else
        return of(0);
#endif
    }

private:
    static constexpr std::align_val_t ALIGNED{64};
    int64_t floats_;
    float* start_;
};

// ---------------------------------------------------------------------------------------------------- activation

enum Activation { GELU = 0, RELU = 1 };

// The error function as a ratio of polynomials, with the float coefficients of Eigen's and XLA's: within a few
// units in the last place.
inline Vector error_function(Vector x) {
    x = x < -4.0f ? fill(-4.0f) : x;
    x = x > 4.0f ? fill(4.0f) : x;
    const Vector s = x * x;
    Vector above = s * -2.72614225801306e-10f + 2.77068142495902e-08f;
    above = above * s - 2.10102402082508e-06f;
    above = above * s - 5.69250639462346e-05f;
    above = above * s - 7.34990630326855e-04f;
    above = above * s - 2.95459980854025e-03f;
    above = above * s - 1.60960333262415e-02f;
    Vector below = s * -1.45660718464996e-05f - 2.13374055278905e-04f;
    below = below * s - 1.68282697438203e-03f;
    below = below * s - 7.37332916720468e-03f;
    below = below * s - 1.42647390514189e-02f;
    return x * above / below;
}

// exp(-x*x/2) / sqrt(2 pi), the density of the normal distribution: a power of two times a polynomial.
inline Vector density(Vector x) {
    const Vector t = x * x * -0.72134752f;  // log2 of the exponential
    const Vector bounded = t < -126.0f ? fill(-126.0f) : t;
    const Integers whole = __builtin_convertvector(bounded - 0.5f, Integers);  // to the nearest, as t <= 0
    const Vector part = bounded - __builtin_convertvector(whole, Vector);      // -0.5..0.5
    Vector power = part * 1.5403530e-4f + 1.3333558e-3f;
    power = power * part + 9.6181291e-3f;
    power = power * part + 5.5504109e-2f;
    power = power * part + 2.4022651e-1f;
    power = power * part + 6.9314718e-1f;
    power = power * part + 1.0f;
    const Integers bits = (whole + 127) << 23;
    Vector scale;
    std::memcpy(&scale, &bits, sizeof scale);
    return power * scale * 0.39894228f;
}

template <int A> inline Vector activate(Vector x) {
    if (A == RELU) return x < 0.0f ? Vector{} : x;  // NaN stays NaN, as in torch
    const Vector half = x * 0.5f;
    return half + half * error_function(x * 0.70710678f);
}

template <int A> inline void activate_with_slope(Vector x, Vector& value, Vector& slope) {
    if (A == RELU) {
        value = x < 0.0f ? Vector{} : x;
        slope = x <= 0.0f ? Vector{} : fill(1.0f);
        return;
    }
    const Vector cumulated = 0.5f + 0.5f * error_function(x * 0.70710678f);
    value = x * cumulated;
    slope = cumulated + x * density(x);
}

// Calls work(from, count) for each vector of a row; count < WIDTH for the last one of a row that does not divide.
template <class Work> inline void by_vectors(int64_t columns, Work work) {
    int64_t i = 0;
    for (; i + WIDTH <= columns; i += WIDTH) work(i, WIDTH);
    if (i < columns) work(i, static_cast<int>(columns - i));
}
inline Vector load_some(const float* from, int count) {
    if (count == WIDTH) return load(from);
    Vector v{};
    std::memcpy(&v, from, sizeof(float) * count);
    return v;
}
inline void store_some(float* to, Vector v, int count) {
    if (count == WIDTH) store(to, v);
    else std::memcpy(to, &v, sizeof(float) * count);
}

constexpr int64_t SPAN = 512;  // values of a row that are summed in float; sums of these are summed in double

inline Vector keep_first(Vector v, int count) {
    for (int i = count; i < WIDTH; ++i) v[i] = 0;
    return v;
}

// The sum of f(i, count) over a row.
template <class F> inline double sum_row(int64_t columns, F f) {
    double total = 0;
    for (int64_t begin = 0; begin < columns; begin += SPAN) {
        Vector part{};
        const int64_t some = std::min<int64_t>(SPAN, columns - begin);
        by_vectors(some, [&](int64_t i, int count) { part += f(begin + i, count); });
        total += sum(part);
    }
    return total;
}

// The sum of (a[i] - centre)^2 of a span; four sums side by side, as each waits for the one before it.
inline double sum_squares(const float* a, int64_t count, float centre) {
    Vector part[4] = {};
    int64_t i = 0;
    for (; i + 4 * WIDTH <= count; i += 4 * WIDTH)
        for (int j = 0; j < 4; ++j) {
            const Vector d = load(a + i + j * WIDTH) - centre;
            part[j] += d * d;
        }
    by_vectors(count - i, [&](int64_t at, int some) {
        const Vector d = load_some(a + i + at, some) - centre;
        part[0] += some == WIDTH ? d * d : keep_first(d * d, some);
    });
    return sum((part[0] + part[1]) + (part[2] + part[3]));
}

// ------------------------------------------------------------------------------------------- batch normalisation

struct Norm {  // of one layer; all arrays are (channels,)
    const float* bias;  // of the convolution before it
    const float *weight, *shift;
    float *running_mean, *running_variance;
    float *mean, *inverse_deviation;  // those used; written by the forward pass, read by the backward pass
    float momentum, epsilon;
    int training;
};

// Mean and squares of deviations of a row that is seen a span at a time, each span while it is in the first cache; as
// exact as two passes over the row (Chan, Golub and LeVeque, 1983).
struct Moments {
    double count = 0, mean = 0, squares = 0;
    void add(const float* values, int64_t some, double total) {
        const double its_mean = total / some;
        const float centre = static_cast<float>(its_mean);
        const double off = its_mean - centre, away = its_mean - mean, all = count + some;
        squares += sum_squares(values, some, centre) - off * off * some + away * away * count * some / all;
        mean += away * some / all;
        count = all;
    }
};

// out = activate(y + bias), a part of a row; what has to be known of it for the norm goes to `moments`.
template <int A>
void activate_part(const Norm& n, int64_t c, const float* y, float* out, int64_t columns, Moments& moments) {
    const float bias = n.bias[c];
    for (int64_t begin = 0; begin < columns; begin += SPAN) {
        const int64_t some = std::min<int64_t>(SPAN, columns - begin);
        Vector total{};
        by_vectors(some, [&](int64_t i, int count) {
            const Vector a = activate<A>(load_some(y + begin + i, count) + bias);
            store_some(out + begin + i, a, count);
            total += count == WIDTH ? a : keep_first(a, count);
        });
        if (n.training) moments.add(out + begin, some, sum(total));
    }
}

// Fixes the mean and the deviation that channel `c` is normalised by, and follows the running ones.
void settle(const Norm& n, int64_t c, const Moments& moments) {
    double variance = n.running_variance[c];
    n.mean[c] = n.running_mean[c];
    if (n.training) {
        const double off = moments.mean - static_cast<float>(moments.mean);
        variance = moments.squares / moments.count - off * off;
        n.mean[c] = static_cast<float>(moments.mean);
        const double unbiased = variance * moments.count / std::max(moments.count - 1, 1.0);
        n.running_mean[c] += n.momentum * (n.mean[c] - n.running_mean[c]);
        n.running_variance[c] += n.momentum * (static_cast<float>(unbiased) - n.running_variance[c]);
    }
    n.inverse_deviation[c] = static_cast<float>(1 / std::sqrt(variance + n.epsilon));
}

// The activated row in `out` normalised, plus `shortcut` if there is one.
void scale_row(const Norm& n, int64_t c, const float* shortcut, float* out, int64_t columns) {
    const float mean = n.mean[c], scale = n.inverse_deviation[c] * n.weight[c], shift = n.shift[c];
    by_vectors(columns, [&](int64_t i, int count) {
        Vector z = (load_some(out + i, count) - mean) * scale + shift;
        if (shortcut) z += load_some(shortcut + i, count);
        store_some(out + i, z, count);
    });
}

// row: activate(y + bias) normalised. `y` is left as it is; `out` may not overlap it.
template <int A> void normalise_row(const Norm& n, int64_t c, const float* y, float* out, int64_t columns) {
    Moments moments;
    activate_part<A>(n, c, y, out, columns, moments);
    settle(n, c, moments);
    scale_row(n, c, nullptr, out, columns);
}

struct NormGradients {  // all (channels,)
    float *bias, *weight, *shift;
};

// How the gradient of a row's result, dz, becomes that of y: (dz - mean_d - normalised * mean_w) * scale * slope.
struct Backward {
    float mean_d, mean_w, scale;

    // One part of a row; `dy` may be one of the others. The sum of dy, which is the gradient of the bias.
    double apply(const float* dz, const float* normalised, const float* slopes, float* dy, int64_t columns) const {
        return sum_row(columns, [&](int64_t i, int count) {
            const Vector through = load_some(dz + i, count) - mean_d - load_some(normalised + i, count) * mean_w;
            Vector d = through * scale * load_some(slopes + i, count);
            if (count < WIDTH) d = keep_first(d, count);
            store_some(dy + i, d, count);
            return d;
        });
    }
};

// The gradients of a row's norm; fills `normalised` and `slopes`, rows that may not overlap the rest.
template <int A>
Backward begin_backward(const Norm& n, const NormGradients& g, int64_t c, const float* y, const float* dz,
                        float* normalised, float* slopes, int64_t columns) {
    const float bias = n.bias[c], mean = n.mean[c], inverse = n.inverse_deviation[c];
    double shift_gradient = 0, weight_gradient = 0;
    for (int64_t begin = 0; begin < columns; begin += SPAN) {
        Vector plain{}, weighted{};
        by_vectors(std::min<int64_t>(SPAN, columns - begin), [&](int64_t at, int count) {
            const int64_t i = begin + at;
            Vector value, slope;
            activate_with_slope<A>(load_some(y + i, count) + bias, value, slope);
            const Vector d = load_some(dz + i, count), z = (value - mean) * inverse;  // d is 0 past the end
            store_some(slopes + i, slope, count);
            store_some(normalised + i, z, count);
            plain += d;
            weighted += d * z;
        });
        shift_gradient += sum(plain);
        weight_gradient += sum(weighted);
    }
    g.shift[c] = static_cast<float>(shift_gradient);
    g.weight[c] = static_cast<float>(weight_gradient);
    const float mean_d = n.training ? static_cast<float>(shift_gradient / columns) : 0;  // else they are constants
    const float mean_w = n.training ? static_cast<float>(weight_gradient / columns) : 0;
    return {mean_d, mean_w, inverse * n.weight[c]};
}

// ----------------------------------------------------------------------------------------- depthwise convolution

// Tap (0, 0) lies `before` places above and to the left of an output; `taps` holds each tap LANES times.
struct Window {
    int grid, kernel, before;
};

constexpr int TILE = 4;  // places of a row that are computed together, each place of the input loaded once for all

// Which columns beside a tile exist: all that its taps reach, or none beyond the tile's own on that side.
enum Sides { INNER = 0, AT_LEFT = 1, AT_RIGHT = 2, ACROSS = 3 };

template <int SIDES> constexpr bool exists(int column) {  // counted from the tile's first
    return !((SIDES & AT_LEFT) && column < 0) && !((SIDES & AT_RIGHT) && column >= TILE);
}

// One tile of one block: out (TILE, LANES) at (row, column) of (grid, grid, LANES) from in, likewise, plus `start` if
// there is one. K is the kernel size, and odd.
template <int K, int SIDES>
inline void convolve_tile(const Window& w, const float* taps, const float* in, const float* start, float* out, int row,
                          int column) {
    constexpr int BEFORE = (K - 1) / 2;
    const int64_t place = (static_cast<int64_t>(row) * w.grid + column) * LANES;
    Vector total[TILE][VECTORS] = {};
    if (start)
        for (int o = 0; o < TILE; ++o)
            for (int v = 0; v < VECTORS; ++v) total[o][v] = load(start + place + o * LANES + v * WIDTH);
    const int end = std::min(K, w.grid + BEFORE - row);
    for (int r = std::max(0, BEFORE - row); r < end; ++r) {
        const float* line = in + place + static_cast<int64_t>(r - BEFORE) * w.grid * LANES;
        const float* taps_of_row = taps + r * K * LANES;
#pragma GCC unroll 16
        for (int step = 0; step < K + TILE - 1; ++step) {
            if (!exists<SIDES>(step - BEFORE)) continue;
            Vector x[VECTORS];
            for (int v = 0; v < VECTORS; ++v) x[v] = load(line + (step - BEFORE) * LANES + v * WIDTH);
#pragma GCC unroll 8
            for (int o = 0; o < TILE; ++o) {
                if (step - o < 0 || step - o >= K) continue;
                const Vector t = load(taps_of_row + (step - o) * LANES);
                for (int v = 0; v < VECTORS; ++v) total[o][v] += t * x[v];
            }
        }
    }
    for (int o = 0; o < TILE; ++o)
        for (int v = 0; v < VECTORS; ++v) store(out + place + o * LANES + v * WIDTH, total[o][v]);
}

// Calls work(sides, column) for the tiles of a row, `sides` as a type, so that no border is asked for at run time. The
// grid is a multiple of TILE, and no window reaches further than TILE: only the outermost tiles are at a border.
template <int SIDES> using At = std::integral_constant<int, SIDES>;
template <class Work> inline void by_tiles(int grid, Work work) {
    if (grid == TILE) return work(At<ACROSS>{}, 0);
    work(At<AT_LEFT>{}, 0);
    for (int column = TILE; column < grid - TILE; column += TILE) work(At<INNER>{}, column);
    work(At<AT_RIGHT>{}, grid - TILE);
}

template <int K>
void convolve_block(const Window& w, const float* taps, const float* in, const float* start, float* out) {
    static_assert(K % 2 == 1 && (K - 1) / 2 <= TILE);
    for (int row = 0; row < w.grid; ++row)
        by_tiles(w.grid, [&](auto sides, int column) {
            convolve_tile<K, decltype(sides)::value>(w, taps, in, start, out, row, column);
        });
}

// The same for any kernel and grid, a place at a time, which is several times slower.
void convolve_any(const Window& w, const float* taps, const float* in, const float* start, float* out) {
    const auto first = [&](int at) { return std::max(0, w.before - at); };
    const auto end = [&](int at) { return std::min(w.kernel, w.grid + w.before - at); };
    for (int row = 0; row < w.grid; ++row)
        for (int column = 0; column < w.grid; ++column)
            for (int v = 0; v < LANES; v += WIDTH) {
                const int64_t place = (static_cast<int64_t>(row) * w.grid + column) * LANES + v;
                Vector total = start ? load(start + place) : Vector{};
                for (int r = first(row); r < end(row); ++r)
                    for (int tap = first(column); tap < end(column); ++tap) {
                        const int64_t away = (static_cast<int64_t>(r - w.before) * w.grid + tap - w.before) * LANES;
                        total += load(taps + (r * w.kernel + tap) * LANES) * load(in + place + away);
                    }
                store(out + place, total);
            }
}

void convolve(const Window& w, const float* taps, const float* in, const float* start, float* out) {
    switch (w.grid % TILE ? 0 : w.kernel) {
        case 3: return convolve_block<3>(w, taps, in, start, out);
        case 5: return convolve_block<5>(w, taps, in, start, out);
        case 7: return convolve_block<7>(w, taps, in, start, out);
        case 9: return convolve_block<9>(w, taps, in, start, out);
        default: return convolve_any(w, taps, in, start, out);
    }
}

// Adds to sums (kernel, kernel, WIDTH) the products of the inputs `x` and the output gradients `dy` of one block. The
// gradients of a tile stay in registers while its inputs pass. GRID is the side of the grid, 0 for one that is only
// known at run time: small ones are unrolled wholly. A kernel of 3 has registers left for sums of their own for each
// vector of a place; its three would wait for one another.
template <int K, int GRID> void correlate_block(const Window& w, const float* x, const float* dy, float* sums) {
    constexpr int BEFORE = (K - 1) / 2, SETS = K <= 3 ? VECTORS : 1;
    const int grid = GRID ? GRID : w.grid;
    const int64_t line = static_cast<int64_t>(grid) * LANES;
    for (int r = 0; r < K; ++r) {
        Vector total[SETS][K] = {};
        for (int row = std::max(0, BEFORE - r); row < std::min(grid, grid + BEFORE - r); ++row)
            by_tiles(grid, [&](auto sides, int column) __attribute__((always_inline)) {
                const float* gradients = dy + row * line + column * LANES;
                const float* inputs = x + (row + r - BEFORE) * line + column * LANES;
#pragma GCC unroll 4
                for (int v = 0; v < VECTORS; ++v) {
                    Vector d[TILE];
#pragma GCC unroll 4
                    for (int o = 0; o < TILE; ++o) d[o] = load(gradients + o * LANES + v * WIDTH);
#pragma GCC unroll 16
                    for (int step = 0; step < K + TILE - 1; ++step) {
                        if (!exists<decltype(sides)::value>(step - BEFORE)) continue;
                        const Vector in = load(inputs + (step - BEFORE) * LANES + v * WIDTH);
#pragma GCC unroll 4
                        for (int o = 0; o < TILE; ++o)
                            if (step - o >= 0 && step - o < K) total[v % SETS][step - o] += d[o] * in;
                    }
                }
            });
        float* row_sums = sums + r * K * WIDTH;
        for (int tap = 0; tap < K; ++tap)
            for (int v = 0; v < SETS; ++v) store(row_sums + tap * WIDTH, load(row_sums + tap * WIDTH) + total[v][tap]);
    }
}

template <int K> void correlate_grid(const Window& w, const float* x, const float* dy, float* sums) {
    switch (w.grid) {
        case 4: return correlate_block<K, 4>(w, x, dy, sums);
        case 8: return correlate_block<K, 8>(w, x, dy, sums);
        case 16: return correlate_block<K, 16>(w, x, dy, sums);
        default: return correlate_block<K, 0>(w, x, dy, sums);
    }
}

void correlate_any(const Window& w, const float* x, const float* dy, float* sums) {
    const int k = w.kernel;
    const auto first = [&](int tap) { return std::max(0, w.before - tap); };
    const auto end = [&](int tap) { return std::min(w.grid, w.grid + w.before - tap); };
    for (int r = 0; r < k; ++r)
        for (int tap = 0; tap < k; ++tap) {
            const int64_t away = static_cast<int64_t>(r - w.before) * w.grid + tap - w.before;
            Vector total{};
            for (int row = first(r); row < end(r); ++row)
                for (int column = first(tap); column < end(tap); ++column) {
                    const float* place = x + (static_cast<int64_t>(row) * w.grid + column + away) * LANES;
                    const float* d = dy + (static_cast<int64_t>(row) * w.grid + column) * LANES;
                    for (int v = 0; v < VECTORS; ++v) total += load(place + v * WIDTH) * load(d + v * WIDTH);
                }
            float* here = sums + (r * k + tap) * WIDTH;
            store(here, load(here) + total);
        }
}

void correlate(const Window& w, const float* x, const float* dy, float* sums) {
    switch (w.grid % TILE ? 0 : w.kernel) {
        case 3: return correlate_grid<3>(w, x, dy, sums);
        case 5: return correlate_grid<5>(w, x, dy, sums);
        case 7: return correlate_grid<7>(w, x, dy, sums);
        case 9: return correlate_grid<9>(w, x, dy, sums);
        default: return correlate_any(w, x, dy, sums);
    }
}

// The blocks of a channel's row; the last one, if it is not full, is computed in padded copies.
struct Blocks {
    int64_t images;
    int places;
    int64_t whole() const { return images / LANES; }
    int rest() const { return static_cast<int>(images % LANES); }
    int64_t block_size() const { return static_cast<int64_t>(places) * LANES; }
    // Calls work(first column, columns) for each block of a row.
    template <class Work> void each(Work work) const {
        for (int64_t block = 0; block < whole(); ++block) work(block * block_size(), block_size());
        if (rest()) work(whole() * block_size(), static_cast<int64_t>(places) * rest());
    }
    void pad(const float* from, float* to) const {
        for (int p = 0; p < places; ++p)
            for (int lane = 0; lane < LANES; ++lane) to[p * LANES + lane] = lane < rest() ? from[p * rest() + lane] : 0;
    }
    void unpad(const float* from, float* to) const {
        for (int p = 0; p < places; ++p)
            std::memcpy(to + static_cast<int64_t>(p) * rest(), from + p * LANES, sizeof(float) * rest());
    }
};

void spread_taps(const float* weight, int count, bool flipped, float* taps) {
    for (int t = 0; t < count; ++t)
        std::fill_n(taps + t * LANES, LANES, weight[flipped ? count - 1 - t : t]);
}

// One block of `columns`; `padded` is room for three.
void convolve_part(const Window& w, const Blocks& b, const float* taps, const float* in, const float* start, float* out,
                   int64_t columns, float* padded) {
    const int64_t size = b.block_size();
    if (columns == size) return convolve(w, taps, in, start, out);
    b.pad(in, padded);
    if (start) b.pad(start, padded + size);
    convolve(w, taps, padded, start ? padded + size : nullptr, padded + 2 * size);
    b.unpad(padded + 2 * size, out);
}

void correlate_part(const Window& w, const Blocks& b, const float* x, const float* dy, float* sums, int64_t columns,
                    float* padded) {
    if (columns == b.block_size()) return correlate(w, x, dy, sums);
    b.pad(x, padded);
    b.pad(dy, padded + b.block_size());
    correlate(w, padded, padded + b.block_size(), sums);
}

// ------------------------------------------------------------------------------------------------- matrix product

constexpr int TILE_ROWS = WIDTH == 16 ? 14 : 6;
constexpr int TILE_VECTORS = 2;
constexpr int TILE_COLUMNS = TILE_VECTORS * WIDTH;
constexpr int64_t PACKED = 24576;  // floats packed at a time, 96 KiB: half of a small second-level cache or less

// out (rows <= TILE_ROWS, columns <= TILE_COLUMNS) = a (inner, TILE_ROWS) by b (inner, TILE_COLUMNS), both packed.
inline void multiply_tile(int64_t inner, const float* a, const float* b, float* out, int64_t stride, int rows,
                          int columns) {
    Vector total[TILE_ROWS][TILE_VECTORS] = {};
    for (int64_t i = 0; i < inner; ++i) {
        Vector x[TILE_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < TILE_VECTORS; ++v) x[v] = load(b + v * WIDTH);
#pragma GCC unroll 16
        for (int r = 0; r < TILE_ROWS; ++r) {
            const Vector w = fill(a[r]);
#pragma GCC unroll 4
            for (int v = 0; v < TILE_VECTORS; ++v) total[r][v] += w * x[v];
        }
        a += TILE_ROWS;
        b += TILE_COLUMNS;
    }
    if (rows == TILE_ROWS && columns == TILE_COLUMNS) {
#pragma GCC unroll 16
        for (int r = 0; r < TILE_ROWS; ++r)
#pragma GCC unroll 4
            for (int v = 0; v < TILE_VECTORS; ++v) store(out + r * stride + v * WIDTH, total[r][v]);
        return;
    }
    for (int r = 0; r < rows; ++r) std::memcpy(out + r * stride, &total[r][0], sizeof(float) * columns);
}

}  // namespace

#define FOR_ACTIVATION(call) (activation == RELU ? call<RELU> : call<GELU>)

extern "C" {

int convmixer_lanes() { return LANES; }

// out (rows, columns) = a (rows, inner), or the transpose of (inner, rows), by b (inner, columns).
int convmixer_multiply(const float* a, int transposed, const float* b, float* out, int64_t rows, int64_t inner,
                        int64_t columns, int threads) {
    const int64_t row_tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
    const int64_t width = std::max<int64_t>(1, PACKED / std::max<int64_t>(inner, 1) / TILE_COLUMNS) * TILE_COLUMNS;
    const int64_t chunks = (columns + width - 1) / width;
    const Room whole(1, row_tiles * inner * TILE_ROWS), parts(threads, inner * width);
    if (whole.failed() || parts.failed()) return 1;
    float* packed_a = whole.of(0);
    for (int64_t t = 0; t < row_tiles; ++t)
        for (int64_t i = 0; i < inner; ++i)
            for (int r = 0; r < TILE_ROWS; ++r) {
                const int64_t row = t * TILE_ROWS + r;
                packed_a[(t * inner + i) * TILE_ROWS + r] =
                    row >= rows ? 0 : transposed ? a[i * rows + row] : a[row * inner + i];
            }
#pragma omp parallel num_threads(threads)
    {
        float* packed_b = parts.mine();
#pragma omp for schedule(static)
        for (int64_t chunk = 0; chunk < chunks; ++chunk) {
            const int64_t begin = chunk * width, some = std::min(width, columns - begin);
            for (int64_t i = 0; i < inner; ++i) {
                const float* from = b + i * columns + begin;
                for (int64_t tile = 0; tile * TILE_COLUMNS < some; ++tile) {
                    float* to = packed_b + (tile * inner + i) * TILE_COLUMNS;
                    const int64_t count = std::min<int64_t>(TILE_COLUMNS, some - tile * TILE_COLUMNS);
                    if (count == TILE_COLUMNS) {
                        for (int v = 0; v < TILE_VECTORS; ++v)
                            store(to + v * WIDTH, load(from + tile * TILE_COLUMNS + v * WIDTH));
                    } else {
                        std::memset(to, 0, sizeof(float) * TILE_COLUMNS);
                        std::memcpy(to, from + tile * TILE_COLUMNS, sizeof(float) * count);
                    }
                }
            }
            for (int64_t t = 0; t < row_tiles; ++t)
                for (int64_t tile = 0; tile * TILE_COLUMNS < some; ++tile)
                    multiply_tile(inner, packed_a + t * inner * TILE_ROWS, packed_b + tile * inner * TILE_COLUMNS,
                                  out + t * TILE_ROWS * columns + begin + tile * TILE_COLUMNS, columns,
                                  static_cast<int>(std::min<int64_t>(TILE_ROWS, rows - t * TILE_ROWS)),
                                  static_cast<int>(std::min<int64_t>(TILE_COLUMNS, some - tile * TILE_COLUMNS)));
        }
    }
    return 0;
}

// z = normalise(activate(y + bias)), all (channels, columns).
void convmixer_normalise(const Norm* norm, int activation, const float* y, float* z, int64_t channels, int64_t columns,
                         int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t c = 0; c < channels; ++c)
        FOR_ACTIVATION(normalise_row)(*norm, c, y + c * columns, z + c * columns, columns);
}

int convmixer_normalise_backward(const Norm* norm, const NormGradients* gradients, int activation, const float* y,
                                  const float* dz, float* dy, int64_t channels, int64_t columns, int threads) {
    const Room slopes(threads, columns);
    if (slopes.failed()) return 1;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t c = 0; c < channels; ++c) {
        const int64_t at = c * columns;
        float *slope = slopes.mine(), *row = dy + at;
        const Backward backward =
            FOR_ACTIVATION(begin_backward)(*norm, *gradients, c, y + at, dz + at, row, slope, columns);
        gradients->bias[c] = static_cast<float>(backward.apply(dz + at, row, slope, row, columns));
    }
    return 0;
}

// y = depthwise(x), z = x + normalise(activate(y + bias)); weight is (channels, kernel, kernel). A block is activated
// as soon as it is convolved, while it is in the cache.
int convmixer_mix_places(const Norm* norm, int activation, const float* weight, const float* x, float* y, float* z,
                          int64_t channels, int64_t images, int grid, int kernel, int threads) {
    const Window window{grid, kernel, (kernel - 1) / 2};
    const Blocks blocks{images, grid * grid};
    const int64_t row = images * grid * grid;
    const Room taps(threads, int64_t{kernel} * kernel * LANES), padded(threads, 3 * blocks.block_size());
    if (taps.failed() || padded.failed()) return 1;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t c = 0; c < channels; ++c) {
        Moments moments;
        spread_taps(weight + c * kernel * kernel, kernel * kernel, false, taps.mine());
        blocks.each([&](int64_t first, int64_t columns) {
            const int64_t at = c * row + first;
            convolve_part(window, blocks, taps.mine(), x + at, nullptr, y + at, columns, padded.mine());
            FOR_ACTIVATION(activate_part)(*norm, c, y + at, z + at, columns, moments);
        });
        settle(*norm, c, moments);
        scale_row(*norm, c, x + c * row, z + c * row, row);
    }
    return 0;
}

int convmixer_mix_places_backward(const Norm* norm, const NormGradients* gradients, int activation, const float* weight,
                                   const float* x, const float* y, const float* dz, float* dx, float* weight_gradient,
                                   int64_t channels, int64_t images, int grid, int kernel, int threads) {
    const Window window{grid, kernel, (kernel - 1) / 2}, back{grid, kernel, kernel / 2};
    const Blocks blocks{images, grid * grid};
    const int64_t row = images * grid * grid;
    const int count = kernel * kernel;
    const Room taps(threads, int64_t{count} * LANES), sums(threads, int64_t{count} * WIDTH);
    const Room padded(threads, 3 * blocks.block_size()), gradient(threads, blocks.block_size());
    const Room normalised(threads, row);
    if (taps.failed() || sums.failed() || padded.failed() || normalised.failed() || gradient.failed()) return 1;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t c = 0; c < channels; ++c) {
        float *dy = gradient.mine(), *total = sums.mine(), *slopes = dx + c * row;  // until dx takes their place
        const Backward backward = FOR_ACTIVATION(begin_backward)(*norm, *gradients, c, y + c * row, dz + c * row,
                                                                 normalised.mine(), slopes, row);
        double bias_gradient = 0;
        std::fill_n(total, count * WIDTH, 0.0f);
        spread_taps(weight + c * count, count, true, taps.mine());
        blocks.each([&](int64_t first, int64_t columns) {
            const int64_t at = c * row + first;
            bias_gradient += backward.apply(dz + at, normalised.mine() + first, slopes + first, dy, columns);
            correlate_part(window, blocks, x + at, dy, total, columns, padded.mine());
            convolve_part(back, blocks, taps.mine(), dy, dz + at, dx + at, columns, padded.mine());
        });
        gradients->bias[c] = static_cast<float>(bias_gradient);
        for (int t = 0; t < count; ++t)
            weight_gradient[c * count + t] = static_cast<float>(sum(load(total + t * WIDTH)));
    }
    return 0;
}

}  // extern "C"
