// The inner loops of a ConvMixer's training step on a CPU: matrix products, the depthwise convolution, and the
// activation with batch normalisation and the shortcut.
//
// Activations are kept in fp32, or in bf16 where the processor multiplies it (avx512_bf16): a product then takes half
// the time, and everything else moves half the bytes. Products of bf16 are summed in fp32, and all else is computed in
// fp32; the weights, their gradients and the statistics of a norm are fp32 always.
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
#if defined(__AVX512BF16__)
#include <immintrin.h>
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

#if defined(__AVX512BF16__)
struct Half {  // bf16: the upper half of a float
    uint16_t bits;
};
inline Vector load(const Half* from) {
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return (Vector)_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16);
}
inline void store(Half* to, Vector v) {  // to the nearest, halfway to even; what is below 2^-126 becomes 0
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), (__m256i)_mm512_cvtneps_pbh((__m512)v));
}
#endif
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
template <class T> inline Vector load_some(const T* from, int count) {
    if (count == WIDTH) return load(from);
    T some[WIDTH] = {};
    std::memcpy(some, from, sizeof(T) * count);
    return load(some);
}
template <class T> inline void store_some(T* to, Vector v, int count) {
    if (count == WIDTH) return store(to, v);
    T some[WIDTH];
    store(some, v);
    std::memcpy(to, some, sizeof(T) * count);
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
template <int A, class T>
void activate_part(const Norm& n, int64_t c, const T* y, float* out, int64_t columns, Moments& moments) {
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

// z = the activated row normalised, plus `shortcut` if there is one.
template <class T>
void scale_row(const Norm& n, int64_t c, const float* activated, const T* shortcut, T* out, int64_t columns) {
    const float mean = n.mean[c], scale = n.inverse_deviation[c] * n.weight[c], shift = n.shift[c];
    by_vectors(columns, [&](int64_t i, int count) {
        Vector z = (load_some(activated + i, count) - mean) * scale + shift;
        if (shortcut) z += load_some(shortcut + i, count);
        store_some(out + i, z, count);
    });
}

// Where a row waits in floats until its statistics are known: in the place of the result if that holds floats, and in
// `room` else. `floats_beside` is how much room that is.
inline float* as_floats(float* row, float*) { return row; }
template <class T> inline float* as_floats(T*, float* room) { return room; }
template <class T> constexpr int64_t floats_beside(int64_t columns) {
    return std::is_same<T, float>::value ? 0 : columns;
}

// row: activate(y + bias) normalised. `y` is left as it is; `out` may not overlap it.
template <int A, class T>
void normalise_row(const Norm& n, int64_t c, const T* y, T* out, float* room, int64_t columns) {
    Moments moments;
    float* activated = as_floats(out, room);
    activate_part<A>(n, c, y, activated, columns, moments);
    settle(n, c, moments);
    scale_row<T>(n, c, activated, nullptr, out, columns);
}

struct NormGradients {  // all (channels,)
    float *bias, *weight, *shift;
};

// How the gradient of a row's result, dz, becomes that of y: (dz - mean_d - normalised * mean_w) * scale * slope.
struct Backward {
    float mean_d, mean_w, scale;

    // One part of a row; `dy` may be one of the others. The sum of dy, which is the gradient of the bias.
    template <class T, class U>
    double apply(const T* dz, const float* normalised, const float* slopes, U* dy, int64_t columns) const {
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
template <int A, class T>
Backward begin_backward(const Norm& n, const NormGradients& g, int64_t c, const T* y, const T* dz, float* normalised,
                        float* slopes, int64_t columns) {
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

// TILE places of a row are computed together, each place of the input loaded once for all: WIDE where there are
// registers for their sums and the taps of a row, if these tiles fill the row, else NARROW. The sums are the same.
constexpr int NARROW = 4, WIDE = WIDTH == 16 ? 8 : NARROW;

// Which columns beside a tile exist: all that its taps reach, or none beyond the tile's own on that side.
enum Sides { INNER = 0, AT_LEFT = 1, AT_RIGHT = 2, ACROSS = 3 };

template <int SIDES, int TILE> constexpr bool exists(int column) {  // counted from the tile's first
    return !((SIDES & AT_LEFT) && column < 0) && !((SIDES & AT_RIGHT) && column >= TILE);
}

// One tile of one block: out (TILE, LANES) at (row, column) of (grid, grid, LANES) from in, likewise, plus `start` if
// there is one. K is the kernel size, and odd.
template <int K, int TILE, int SIDES>
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
            if (!exists<SIDES, TILE>(step - BEFORE)) continue;
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
template <int TILE, class Work> inline void by_tiles(int grid, Work work) {
    if (grid == TILE) return work(At<ACROSS>{}, 0);
    work(At<AT_LEFT>{}, 0);
    for (int column = TILE; column < grid - TILE; column += TILE) work(At<INNER>{}, column);
    work(At<AT_RIGHT>{}, grid - TILE);
}

template <int K, int TILE>
void convolve_block(const Window& w, const float* taps, const float* in, const float* start, float* out) {
    static_assert(K % 2 == 1 && (K - 1) / 2 <= TILE);
    for (int row = 0; row < w.grid; ++row)
        by_tiles<TILE>(w.grid, [&](auto sides, int column) {
            convolve_tile<K, TILE, decltype(sides)::value>(w, taps, in, start, out, row, column);
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

template <int TILE>
void convolve_by_tiles(const Window& w, const float* taps, const float* in, const float* start, float* out) {
    switch (w.kernel) {
        case 3: return convolve_block<3, TILE>(w, taps, in, start, out);
        case 5: return convolve_block<5, TILE>(w, taps, in, start, out);
        case 7: return convolve_block<7, TILE>(w, taps, in, start, out);
        case 9: return convolve_block<9, TILE>(w, taps, in, start, out);
        default: return convolve_any(w, taps, in, start, out);
    }
}

void convolve(const Window& w, const float* taps, const float* in, const float* start, float* out) {
    if (w.grid % WIDE == 0) return convolve_by_tiles<WIDE>(w, taps, in, start, out);
    if (w.grid % NARROW == 0) return convolve_by_tiles<NARROW>(w, taps, in, start, out);
    convolve_any(w, taps, in, start, out);
}

// Adds to sums (kernel, kernel, WIDTH) the products of the inputs `x` and the output gradients `dy` of one block. The
// gradients of a tile stay in registers while its inputs pass. GRID is the side of the grid, 0 for one that is only
// known at run time: small ones are unrolled wholly. A kernel of 3 has registers left for sums of their own for each
// vector of a place; its three would wait for one another.
template <int K, int TILE, int GRID>
void correlate_block(const Window& w, const float* x, const float* dy, float* sums) {
    constexpr int BEFORE = (K - 1) / 2, SETS = K <= 3 ? VECTORS : 1;
    const int grid = GRID ? GRID : w.grid;
    const int64_t line = static_cast<int64_t>(grid) * LANES;
    for (int r = 0; r < K; ++r) {
        Vector total[SETS][K] = {};
        for (int row = std::max(0, BEFORE - r); row < std::min(grid, grid + BEFORE - r); ++row)
            by_tiles<TILE>(grid, [&](auto sides, int column) __attribute__((always_inline)) {
                const float* gradients = dy + row * line + column * LANES;
                const float* inputs = x + (row + r - BEFORE) * line + column * LANES;
#pragma GCC unroll 4
                for (int v = 0; v < VECTORS; ++v) {
                    Vector d[TILE];
#pragma GCC unroll 8
                    for (int o = 0; o < TILE; ++o) d[o] = load(gradients + o * LANES + v * WIDTH);
#pragma GCC unroll 16
                    for (int step = 0; step < K + TILE - 1; ++step) {
                        if (!exists<decltype(sides)::value, TILE>(step - BEFORE)) continue;
                        const Vector in = load(inputs + (step - BEFORE) * LANES + v * WIDTH);
#pragma GCC unroll 8
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
        case 4: return correlate_block<K, NARROW, 4>(w, x, dy, sums);
        case 8: return correlate_block<K, WIDE, 8>(w, x, dy, sums);
        case 16: return correlate_block<K, WIDE, 16>(w, x, dy, sums);
        default: break;
    }
    if (WIDE != NARROW && w.grid % WIDE == 0) return correlate_block<K, WIDE, 0>(w, x, dy, sums);
    correlate_block<K, NARROW, 0>(w, x, dy, sums);
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

// Compiled by itself: which products and sums become one instruction, rounded once, depends on what surrounds them.
__attribute__((noinline)) void correlate(const Window& w, const float* x, const float* dy, float* sums) {
    switch (w.grid % NARROW ? 0 : w.kernel) {
        case 3: return correlate_grid<3>(w, x, dy, sums);
        case 5: return correlate_grid<5>(w, x, dy, sums);
        case 7: return correlate_grid<7>(w, x, dy, sums);
        case 9: return correlate_grid<9>(w, x, dy, sums);
        default: return correlate_any(w, x, dy, sums);
    }
}

// The blocks of a channel's row. They are computed in floats and with all LANES: one that is kept otherwise is computed
// in a copy.
struct Blocks {
    int64_t images;
    int places;
    int64_t whole() const { return images / LANES; }
    int rest() const { return static_cast<int>(images % LANES); }
    int64_t size() const { return static_cast<int64_t>(places) * LANES; }
    // Calls work(first column, columns) for each block of a row.
    template <class Work> void each(Work work) const {
        for (int64_t block = 0; block < whole(); ++block) work(block * size(), size());
        if (rest()) work(whole() * size(), static_cast<int64_t>(places) * rest());
    }
    // The block `from` of so many columns, or its copy in `room`.
    template <class T> const float* open(const T* from, int64_t columns, float* room) const {
        if (columns == size() && std::is_same<T, float>::value) return reinterpret_cast<const float*>(from);
        const int lanes = columns == size() ? LANES : rest();
        for (int p = 0; p < places; ++p)
            for (int lane = 0; lane < LANES; lane += WIDTH) {
                const int count = std::min(WIDTH, std::max(0, lanes - lane));
                store(room + p * LANES + lane, load_some(from + static_cast<int64_t>(p) * lanes + lane, count));
            }
        return room;
    }
    // Where to compute the block `to`, and how to bring it there.
    float* place(float* to, int64_t columns, float* room) const { return columns == size() ? to : room; }
    template <class T> float* place(T*, int64_t, float* room) const { return room; }
    template <class T> void close(const float* from, T* to, int64_t columns) const {
        if (static_cast<const void*>(from) == to) return;
        const int lanes = columns == size() ? LANES : rest();
        for (int p = 0; p < places; ++p)
            for (int lane = 0; lane < lanes; lane += WIDTH)
                store_some(to + static_cast<int64_t>(p) * lanes + lane, load(from + p * LANES + lane),
                           std::min(WIDTH, lanes - lane));
    }
};

void spread_taps(const float* weight, int count, bool flipped, float* taps) {
    for (int t = 0; t < count; ++t)
        std::fill_n(taps + t * LANES, LANES, weight[flipped ? count - 1 - t : t]);
}

// ------------------------------------------------------------------------------------------------- matrix product

// As many sums as there are registers for; 8 rows divide the widths of models, where 14 would compute some for nothing.
constexpr int TILE_ROWS = WIDTH == 16 ? 8 : 6;
constexpr int TILE_VECTORS = WIDTH == 16 ? 3 : 2;
constexpr int TILE_COLUMNS = TILE_VECTORS * WIDTH;
constexpr int64_t PACKED = 24576;  // floats packed at a time, 96 KiB: half of a small second-level cache or less

// A product reads its inner dimension in units of four bytes: a float, or two neighbours in bf16, the last of which is
// 0 where their number is odd. A unit passes through `float` as bits that nobody computes with.
template <class T> constexpr int UNIT = 4 / sizeof(T);

inline void multiply_add(float unit, Vector x, Vector& total, float) { total += fill(unit) * x; }
#if defined(__AVX512BF16__)
inline void multiply_add(float unit, Vector x, Vector& total, Half) {
    const __m512 everywhere = _mm512_set1_ps(unit);
    total = (Vector)_mm512_dpbf16_ps((__m512)total, (__m512bh)everywhere, (__m512bh)x);
}
#endif

// total (ROWS, COLUMNS vectors) += a by b (units, columns), both packed: unit i of row r is a[r * ROW + i * STEP].
template <class T, int ROW, int STEP, int ROWS, int COLUMNS>
inline void multiply_units(int64_t units, const float* a, const float* b, Vector (&total)[ROWS][COLUMNS]) {
    for (int64_t i = 0; i < units; ++i) {
        Vector x[COLUMNS];
#pragma GCC unroll 4
        for (int v = 0; v < COLUMNS; ++v) x[v] = load(b + v * WIDTH);
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 4
            for (int v = 0; v < COLUMNS; ++v) multiply_add(a[r * ROW], x[v], total[r][v], T{});
        a += STEP;
        b += COLUMNS * WIDTH;
    }
}

// out (rows <= TILE_ROWS, columns <= TILE_COLUMNS) = a (units, TILE_ROWS) by b (units, TILE_COLUMNS), both packed.
template <class T>
inline void multiply_tile(int64_t units, const float* a, const float* b, T* out, int64_t stride, int rows,
                          int columns) {
    Vector total[TILE_ROWS][TILE_VECTORS] = {};
    multiply_units<T, 1, TILE_ROWS>(units, a, b, total);
    if (rows == TILE_ROWS && columns == TILE_COLUMNS) {
#pragma GCC unroll 16
        for (int r = 0; r < TILE_ROWS; ++r)
#pragma GCC unroll 4
            for (int v = 0; v < TILE_VECTORS; ++v) store(out + r * stride + v * WIDTH, total[r][v]);
        return;
    }
    for (int r = 0; r < rows; ++r)
        for (int v = 0; v * WIDTH < columns; ++v)
            store_some(out + r * stride + v * WIDTH, total[r][v], std::min(WIDTH, columns - v * WIDTH));
}

inline float as_unit(const float* values, float) { return values[0]; }
#if defined(__AVX512BF16__)
inline float as_unit(const float* values, Half) {
    const __m128bh rounded = _mm_cvtneps_pbh(_mm_set_ps(0, 0, values[1], values[0]));
    return _mm_cvtss_f32((__m128)rounded);
}
#endif

// to (row tiles, units, TILE_ROWS) from a (rows, inner), or the transpose of (inner, rows).
template <class T> void pack_weights(const float* a, bool transposed, int64_t rows, int64_t inner, float* to) {
    const int64_t down = transposed ? 1 : inner, along = transposed ? rows : 1;
    for (int64_t first = 0; first < rows; first += TILE_ROWS)
        for (int64_t i = 0; i < inner; i += UNIT<T>)
            for (int64_t row = first; row < first + TILE_ROWS; ++row) {
                const bool exists = row < rows, has_second = exists && i + 1 < inner;
                const float* from = a + row * down + i * along;
                const float values[2] = {exists ? from[0] : 0, has_second ? from[along] : 0};
                *to++ = as_unit(values, T{});
            }
}

// One tile's row of units of b (inner, columns), at `from`, of which `count` columns and `inner` rows are left.
inline void pack_row(const float* from, int64_t, int64_t, int count, float* to) {
    for (int v = 0; v < TILE_VECTORS; ++v)
        store(to + v * WIDTH, load_some(from + v * WIDTH, std::min(WIDTH, std::max(0, count - v * WIDTH))));
}
#if defined(__AVX512BF16__)
inline void pack_row(const Half* from, int64_t columns, int64_t inner, int count, float* to) {
    for (int v = 0; v < TILE_VECTORS; ++v) {
        const int some = std::min(WIDTH, std::max(0, count - v * WIDTH));
        const Vector first = load_some(from + v * WIDTH, some);
        const Vector second = inner > 1 ? load_some(from + columns + v * WIDTH, some) : Vector{};
        const __m512i low = _mm512_srli_epi32((__m512i)first, 16);  // both are bf16 in the upper half of a float
        store(to + v * WIDTH, (Vector)_mm512_or_si512(low, (__m512i)second));
    }
}
#endif

// out (rows, columns) = a (rows, inner), or the transpose of (inner, rows), by b (inner, columns).
template <class T>
int multiply(const float* a, bool transposed, const T* b, T* out, int64_t rows, int64_t inner, int64_t columns,
             int threads) {
    const int64_t row_tiles = (rows + TILE_ROWS - 1) / TILE_ROWS, units = (inner + UNIT<T> - 1) / UNIT<T>;
    const int64_t width = std::max<int64_t>(1, PACKED / std::max<int64_t>(units, 1) / TILE_COLUMNS) * TILE_COLUMNS;
    const int64_t chunks = (columns + width - 1) / width;
    const Room whole(1, row_tiles * units * TILE_ROWS), parts(threads, units * width);
    if (whole.failed() || parts.failed()) return 1;
    const float* packed_a = whole.of(0);
    pack_weights<T>(a, transposed, rows, inner, whole.of(0));
#pragma omp parallel num_threads(threads)
    {
        float* packed_b = parts.mine();
#pragma omp for schedule(static)
        for (int64_t chunk = 0; chunk < chunks; ++chunk) {
            const int64_t begin = chunk * width, some = std::min(width, columns - begin);
            const auto left = [&](int64_t at) { return static_cast<int>(std::min<int64_t>(TILE_COLUMNS, some - at)); };
            for (int64_t i = 0; i < units; ++i)
                for (int64_t at = 0; at < some; at += TILE_COLUMNS)
                    pack_row(b + i * UNIT<T> * columns + begin + at, columns, inner - i * UNIT<T>, left(at),
                             packed_b + at * units + i * TILE_COLUMNS);
            for (int64_t t = 0; t < row_tiles; ++t)
                for (int64_t at = 0; at < some; at += TILE_COLUMNS)
                    multiply_tile(units, packed_a + t * units * TILE_ROWS, packed_b + at * units,
                                  out + t * TILE_ROWS * columns + begin + at, columns,
                                  static_cast<int>(std::min<int64_t>(TILE_ROWS, rows - t * TILE_ROWS)), left(at));
        }
    }
    return 0;
}

#if defined(__AVX512BF16__)
// ------------------------------------------------------------------------------------- gradient of a product's weight

constexpr int GRADIENT_ROWS = 13, GRADIENT_VECTORS = 2, GRADIENT_COLUMNS = GRADIENT_VECTORS * WIDTH;
constexpr int DEPTH = 256;  // columns that are summed in registers; their tile of b is half of the first cache
constexpr int DEPTH_UNITS = DEPTH / UNIT<Half>;

// to (rows, DEPTH), zeros where there is nothing left, from a (rows, columns), of which so many `columns` are left.
void copy_depth(const Half* a, int64_t rows, int64_t stride, int64_t columns, float* to) {
    const int64_t some = std::min<int64_t>(DEPTH, columns);
    for (int64_t r = 0; r < rows; ++r, to += DEPTH_UNITS) {
        std::memcpy(to, a + r * stride, sizeof(Half) * some);
        std::memset(reinterpret_cast<Half*>(to) + some, 0, sizeof(Half) * (DEPTH - some));
    }
}

inline __m512 interleave_low(__m512 a, __m512 b) {  // pairs of units
    return (__m512)_mm512_unpacklo_pd((__m512d)a, (__m512d)b);
}
inline __m512 interleave_high(__m512 a, __m512 b) { return (__m512)_mm512_unpackhi_pd((__m512d)a, (__m512d)b); }

// A matrix of 16 x 16 units, transposed: first each 4 x 4 of four rows, then these among each other.
inline void transpose(__m512 (&m)[16]) {
    __m512 t[16];
    for (int i = 0; i < 16; i += 4) {
        const __m512 low[2] = {_mm512_unpacklo_ps(m[i], m[i + 1]), _mm512_unpacklo_ps(m[i + 2], m[i + 3])};
        const __m512 high[2] = {_mm512_unpackhi_ps(m[i], m[i + 1]), _mm512_unpackhi_ps(m[i + 2], m[i + 3])};
        t[i] = interleave_low(low[0], low[1]);
        t[i + 1] = interleave_high(low[0], low[1]);
        t[i + 2] = interleave_low(high[0], high[1]);
        t[i + 3] = interleave_high(high[0], high[1]);
    }
    for (int i = 0; i < 4; ++i) {
        const __m512 left[2] = {_mm512_shuffle_f32x4(t[i], t[i + 4], 0x44),  // quarters 0, 1 of both
                                _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0x44)};
        const __m512 right[2] = {_mm512_shuffle_f32x4(t[i], t[i + 4], 0xEE),  // quarters 2, 3
                                 _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0xEE)};
        m[i] = _mm512_shuffle_f32x4(left[0], left[1], 0x88);  // quarters 0, 2
        m[i + 4] = _mm512_shuffle_f32x4(left[0], left[1], 0xDD);  // quarters 1, 3
        m[i + 8] = _mm512_shuffle_f32x4(right[0], right[1], 0x88);
        m[i + 12] = _mm512_shuffle_f32x4(right[0], right[1], 0xDD);
    }
}

// to (DEPTH_UNITS, GRADIENT_COLUMNS) from b (rows, columns), of which so many `rows` and `columns` are left.
void pack_depth(const Half* b, int64_t rows, int64_t stride, int64_t columns, float* to) {
    for (int v = 0; v < GRADIENT_VECTORS; ++v)
        for (int unit = 0; unit < DEPTH_UNITS; unit += WIDTH) {
            const int64_t left = std::min<int64_t>(2 * WIDTH, columns - 2 * unit);
            const __mmask32 some = left <= 0 ? 0 : ~uint32_t{0} >> (2 * WIDTH - left);
            __m512 m[WIDTH];
            for (int i = 0; i < WIDTH; ++i) {
                const __mmask32 exists = v * WIDTH + i < rows ? some : 0;  // nothing is read elsewhere
                m[i] = (__m512)_mm512_maskz_loadu_epi16(exists, b + (v * WIDTH + i) * stride + 2 * unit);
            }
            transpose(m);
            for (int i = 0; i < WIDTH; ++i) _mm512_store_ps(to + (unit + i) * GRADIENT_COLUMNS + v * WIDTH, m[i]);
        }
}

// out (rows <= GRADIENT_ROWS, columns <= GRADIENT_COLUMNS) += a (GRADIENT_ROWS, DEPTH) by b, packed.
inline void add_tile(const float* a, const float* b, float* out, int64_t stride, int rows, int columns) {
    Vector total[GRADIENT_ROWS][GRADIENT_VECTORS] = {};
    multiply_units<Half, DEPTH_UNITS, 1>(DEPTH_UNITS, a, b, total);
    for (int r = 0; r < rows; ++r)
        for (int v = 0; v * WIDTH < columns; ++v) {
            const int some = std::min(WIDTH, columns - v * WIDTH);
            float* to = out + r * stride + v * WIDTH;
            store_some(to, load_some(to, some) + total[r][v], some);
        }
}

// out (rows, others) = a (rows, columns) by the transpose of b (others, columns). Each thread computes some columns of
// `out` alone, so that their number changes no sum.
int multiply_transposed(const Half* a, const Half* b, float* out, int64_t rows, int64_t others, int64_t columns,
                        int threads) {
    const int64_t padded_rows = (rows + GRADIENT_ROWS - 1) / GRADIENT_ROWS * GRADIENT_ROWS;
    const Room lefts(threads, padded_rows * DEPTH_UNITS), rights(threads, int64_t{DEPTH_UNITS} * GRADIENT_COLUMNS);
    if (lefts.failed() || rights.failed()) return 1;
    std::fill_n(out, rows * others, 0.0f);
#pragma omp parallel num_threads(threads)
    {
        float *left = lefts.mine(), *right = rights.mine();
        std::fill_n(left, padded_rows * DEPTH_UNITS, 0.0f);
        for (int64_t begin = 0; begin < columns; begin += DEPTH) {
            copy_depth(a + begin, rows, columns, columns - begin, left);
#pragma omp for schedule(static) nowait
            for (int64_t tile = 0; tile < others; tile += GRADIENT_COLUMNS) {
                pack_depth(b + tile * columns + begin, others - tile, columns, columns - begin, right);
                for (int64_t row = 0; row < rows; row += GRADIENT_ROWS)
                    add_tile(left + row * DEPTH_UNITS, right, out + row * others + tile, others,
                             static_cast<int>(std::min<int64_t>(GRADIENT_ROWS, rows - row)),
                             static_cast<int>(std::min<int64_t>(GRADIENT_COLUMNS, others - tile)));
            }
        }
    }
    return 0;
}
#endif

// ------------------------------------------------------------------------------------------------ parts of a model

#define FOR_ACTIVATION(call) (activation == RELU ? call<RELU, T> : call<GELU, T>)

// z = normalise(activate(y + bias)), all (channels, columns).
template <class T>
int normalise(const Norm& norm, int activation, const T* y, T* z, int64_t channels, int64_t columns, int threads) {
    const Room room(threads, floats_beside<T>(columns));
    if (room.failed()) return 1;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t c = 0; c < channels; ++c)
        FOR_ACTIVATION(normalise_row)(norm, c, y + c * columns, z + c * columns, room.mine(), columns);
    return 0;
}

template <class T>
int normalise_backward(const Norm& norm, const NormGradients& gradients, int activation, const T* y, const T* dz, T* dy,
                       int64_t channels, int64_t columns, int threads) {
    const Room room(threads, columns + floats_beside<T>(columns));
    if (room.failed()) return 1;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t c = 0; c < channels; ++c) {
        const int64_t at = c * columns;
        float *slopes = room.mine(), *normalised = as_floats(dy + at, slopes + columns);
        const Backward backward =
            FOR_ACTIVATION(begin_backward)(norm, gradients, c, y + at, dz + at, normalised, slopes, columns);
        gradients.bias[c] = static_cast<float>(backward.apply(dz + at, normalised, slopes, dy + at, columns));
    }
    return 0;
}

// y = depthwise(x), z = x + normalise(activate(y + bias)); weight is (channels, kernel, kernel). A block is activated
// as soon as it is convolved, while it is in the cache.
template <class T>
int mix_places(const Norm& norm, int activation, const float* weight, const T* x, T* y, T* z, int64_t channels,
               int64_t images, int grid, int kernel, int threads) {
    const Window window{grid, kernel, (kernel - 1) / 2};
    const Blocks blocks{images, grid * grid};
    const int64_t row = images * grid * grid;
    const Room taps(threads, int64_t{kernel} * kernel * LANES), copies(threads, 2 * blocks.size());
    const Room room(threads, floats_beside<T>(row));
    if (taps.failed() || copies.failed() || room.failed()) return 1;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t c = 0; c < channels; ++c) {
        Moments moments;
        float* activated = as_floats(z + c * row, room.mine());
        spread_taps(weight + c * kernel * kernel, kernel * kernel, false, taps.mine());
        blocks.each([&](int64_t first, int64_t columns) {
            const int64_t at = c * row + first;
            const float* in = blocks.open(x + at, columns, copies.mine());
            float* out = blocks.place(y + at, columns, copies.mine() + blocks.size());
            convolve(window, taps.mine(), in, nullptr, out);
            blocks.close(out, y + at, columns);
            FOR_ACTIVATION(activate_part)(norm, c, y + at, activated + first, columns, moments);
        });
        settle(norm, c, moments);
        scale_row(norm, c, activated, x + c * row, z + c * row, row);
    }
    return 0;
}

template <class T>
int mix_places_backward(const Norm& norm, const NormGradients& gradients, int activation, const float* weight,
                        const T* x, const T* y, const T* dz, T* dx, float* weight_gradient, int64_t channels,
                        int64_t images, int grid, int kernel, int threads) {
    const Window window{grid, kernel, (kernel - 1) / 2}, back{grid, kernel, kernel / 2};
    const Blocks blocks{images, grid * grid};
    const int64_t row = images * grid * grid, size = blocks.size();
    const int count = kernel * kernel;
    const Room taps(threads, int64_t{count} * LANES), sums(threads, int64_t{count} * WIDTH);
    const Room copies(threads, 5 * size), room(threads, row + floats_beside<T>(row));
    if (taps.failed() || sums.failed() || copies.failed() || room.failed()) return 1;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t c = 0; c < channels; ++c) {
        float *copy = copies.mine(), *total = sums.mine(), *normalised = room.mine();
        float* slopes = as_floats(dx + c * row, normalised + row);  // until dx takes their place
        const Backward backward = FOR_ACTIVATION(begin_backward)(norm, gradients, c, y + c * row, dz + c * row,
                                                                 normalised, slopes, row);
        double bias_gradient = 0;
        std::fill_n(total, count * WIDTH, 0.0f);
        spread_taps(weight + c * count, count, true, taps.mine());
        blocks.each([&](int64_t first, int64_t columns) {
            const int64_t at = c * row + first;
            bias_gradient += backward.apply(dz + at, normalised + first, slopes + first, copy, columns);
            const float* dy = blocks.open(static_cast<const float*>(copy), columns, copy + size);
            correlate(window, blocks.open(x + at, columns, copy + 2 * size), dy, total);
            float* out = blocks.place(dx + at, columns, copy + 4 * size);
            convolve(back, taps.mine(), dy, blocks.open(dz + at, columns, copy + 3 * size), out);
            blocks.close(out, dx + at, columns);
        });
        gradients.bias[c] = static_cast<float>(bias_gradient);
        for (int t = 0; t < count; ++t)
            weight_gradient[c * count + t] = static_cast<float>(sum(load(total + t * WIDTH)));
    }
    return 0;
}

}  // namespace

extern "C" {

int convmixer_lanes() { return LANES; }

// 1 if there are kernels that keep their activations in bf16.
int convmixer_has_bf16() {
#if defined(__AVX512BF16__)
    return 1;
#else
    return 0;
#endif
}

#define EXPORT(SUFFIX, T)                                                                                              \
    int convmixer_multiply_##SUFFIX(const float* a, int transposed, const T* b, T* out, int64_t rows, int64_t inner,   \
                                    int64_t columns, int threads) {                                                    \
        return multiply(a, transposed, b, out, rows, inner, columns, threads);                                         \
    }                                                                                                                  \
    int convmixer_normalise_##SUFFIX(const Norm* norm, int activation, const T* y, T* z, int64_t channels,             \
                                     int64_t columns, int threads) {                                                   \
        return normalise(*norm, activation, y, z, channels, columns, threads);                                         \
    }                                                                                                                  \
    int convmixer_normalise_backward_##SUFFIX(const Norm* norm, const NormGradients* gradients, int activation,        \
                                              const T* y, const T* dz, T* dy, int64_t channels, int64_t columns,       \
                                              int threads) {                                                           \
        return normalise_backward(*norm, *gradients, activation, y, dz, dy, channels, columns, threads);               \
    }                                                                                                                  \
    int convmixer_mix_places_##SUFFIX(const Norm* norm, int activation, const float* weight, const T* x, T* y, T* z,   \
                                      int64_t channels, int64_t images, int grid, int kernel, int threads) {           \
        return mix_places(*norm, activation, weight, x, y, z, channels, images, grid, kernel, threads);                \
    }                                                                                                                  \
    int convmixer_mix_places_backward_##SUFFIX(                                                                        \
        const Norm* norm, const NormGradients* gradients, int activation, const float* weight, const T* x, const T* y, \
        const T* dz, T* dx, float* weight_gradient, int64_t channels, int64_t images, int grid, int kernel,            \
        int threads) {                                                                                                 \
        return mix_places_backward(*norm, *gradients, activation, weight, x, y, dz, dx, weight_gradient, channels,     \
                                   images, grid, kernel, threads);                                                     \
    }

EXPORT(fp32, float)
#if defined(__AVX512BF16__)
EXPORT(bf16, Half)

int convmixer_multiply_transposed_bf16(const Half* a, const Half* b, float* out, int64_t rows, int64_t others,
                                       int64_t columns, int threads) {
    return multiply_transposed(a, b, out, rows, others, columns, threads);
}
#endif

}  // extern "C"
