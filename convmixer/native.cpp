// The inner loops of a ConvMixer's training step on a CPU, in fp32: a matrix product, the depthwise convolution, and
// the activation with batch normalisation and the shortcut.
//
// Layout. An activation is a matrix (channels, columns), columns = images * positions. 16 images make a block, a block
// is (positions, 16), and the blocks follow one another; the last one is (positions, rest). So a channel is contiguous
// (batch normalisation reads memory in order and a channel's convolution stays in the cache), and the 16 images side by
// side fill the vector registers at every place of the grid, at its borders too.
//
// Plain C interface, called through ctypes; what returns an int returns 0, or 1 where memory was missing and nothing was
// done. Vectors are those of GCC and Clang, so the compiler chooses the instructions.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>

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

inline Vector keep_first(Vector v, int count) {
    for (int i = count; i < WIDTH; ++i) v[i] = 0;
    return v;
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

// row: activate(y + bias) normalised, plus `shortcut` if there is one. `y` is left as it is; `out` may not overlap it.
template <int A>
void normalise_row(const Norm& n, int64_t c, const float* y, const float* shortcut, float* out, int64_t columns) {
    const float bias = n.bias[c];
    float mean, inverse;
    if (n.training) {
        const double total = sum_row(columns, [&](int64_t i, int count) {
            const Vector a = activate<A>(load_some(y + i, count) + bias);
            store_some(out + i, a, count);
            return count == WIDTH ? a : keep_first(a, count);
        });
        const double exact_mean = total / columns;
        mean = static_cast<float>(exact_mean);
        const double squares = sum_row(columns, [&](int64_t i, int count) {
            const Vector d = load_some(out + i, count) - mean;
            return count == WIDTH ? d * d : keep_first(d * d, count);
        });
        const double off = exact_mean - mean, variance = squares / columns - off * off;
        inverse = static_cast<float>(1 / std::sqrt(variance + n.epsilon));
        const double unbiased = variance * columns / std::max<int64_t>(columns - 1, 1);
        n.running_mean[c] += n.momentum * (mean - n.running_mean[c]);
        n.running_variance[c] += n.momentum * (static_cast<float>(unbiased) - n.running_variance[c]);
    } else {
        mean = n.running_mean[c];
        inverse = static_cast<float>(1 / std::sqrt(static_cast<double>(n.running_variance[c]) + n.epsilon));
        by_vectors(columns, [&](int64_t i, int count) {
            store_some(out + i, activate<A>(load_some(y + i, count) + bias), count);
        });
    }
    n.mean[c] = mean;
    n.inverse_deviation[c] = inverse;
    const float scale = inverse * n.weight[c], shift = n.shift[c];
    by_vectors(columns, [&](int64_t i, int count) {
        Vector z = (load_some(out + i, count) - mean) * scale + shift;
        if (shortcut) z += load_some(shortcut + i, count);
        store_some(out + i, z, count);
    });
}

struct NormGradients {  // all (channels,)
    float *bias, *weight, *shift;
};

// The gradient `dy` of y from that of the row's result, `dz`. `slopes` is room for a row and may not overlap the rest.
template <int A>
void normalise_row_backward(const Norm& n, const NormGradients& g, int64_t c, const float* y, const float* dz, float* dy,
                            float* slopes, int64_t columns) {
    const float bias = n.bias[c], mean = n.mean[c], inverse = n.inverse_deviation[c];
    double shift_gradient = 0, weight_gradient = 0;
    for (int64_t begin = 0; begin < columns; begin += SPAN) {
        Vector plain{}, weighted{};
        by_vectors(std::min<int64_t>(SPAN, columns - begin), [&](int64_t at, int count) {
            const int64_t i = begin + at;
            Vector value, slope;
            activate_with_slope<A>(load_some(y + i, count) + bias, value, slope);
            const Vector d = load_some(dz + i, count), normalised = (value - mean) * inverse;  // d is 0 past the end
            store_some(slopes + i, slope, count);
            store_some(dy + i, normalised, count);
            plain += d;
            weighted += d * normalised;
        });
        shift_gradient += sum(plain);
        weight_gradient += sum(weighted);
    }
    g.shift[c] = static_cast<float>(shift_gradient);
    g.weight[c] = static_cast<float>(weight_gradient);
    const float scale = inverse * n.weight[c];
    const float mean_d = n.training ? static_cast<float>(shift_gradient / columns) : 0;  // else they are constants
    const float mean_w = n.training ? static_cast<float>(weight_gradient / columns) : 0;
    g.bias[c] = static_cast<float>(sum_row(columns, [&](int64_t i, int count) {
        const Vector through = load_some(dz + i, count) - mean_d - load_some(dy + i, count) * mean_w;
        Vector d = through * scale * load_some(slopes + i, count);
        if (count < WIDTH) d = keep_first(d, count);
        store_some(dy + i, d, count);
        return d;
    }));
}

// ----------------------------------------------------------------------------------------- depthwise convolution

// Tap (0, 0) lies `before` places above and to the left of an output; `taps` holds each tap LANES times.
struct Window {
    int grid, kernel, before;
};

// One block: out (grid * grid, LANES) from in, likewise, plus `start` if there is one. K is the kernel size, 0 for one that is only known at run time.
// TILE outputs of a row are computed at a time, so that a place is loaded once for all of them.
template <int K, int TILE>
inline void convolve_tile(const Window& w, const float* taps, const float* in, const float* start, float* out, int row,
                          int column) {
    const int k = K ? K : w.kernel;
    const int64_t place = (static_cast<int64_t>(row) * w.grid + column) * LANES;
    Vector total[TILE][VECTORS] = {};
    if (start)
        for (int o = 0; o < TILE; ++o)
            for (int v = 0; v < VECTORS; ++v) total[o][v] = load(start + place + o * LANES + v * WIDTH);
    for (int r = std::max(0, w.before - row); r < std::min(k, w.grid + w.before - row); ++r) {
        const float* line = in + static_cast<int64_t>(row + r - w.before) * w.grid * LANES;
        const float* taps_of_row = taps + r * k * LANES;
        const auto take = [&](int step) {  // the place `step - before` columns right of `column`
            const int from = column + step - w.before;
            if (from < 0 || from >= w.grid) return;
            Vector x[VECTORS];
            for (int v = 0; v < VECTORS; ++v) x[v] = load(line + from * LANES + v * WIDTH);
#pragma GCC unroll 8
            for (int o = 0; o < TILE; ++o) {
                const int tap = step - o;
                if (tap < 0 || tap >= k) continue;
                const Vector t = load(taps_of_row + tap * LANES);
                for (int v = 0; v < VECTORS; ++v) total[o][v] += t * x[v];
            }
        };
        if (K) {
#pragma GCC unroll 16
            for (int step = 0; step < K + TILE - 1; ++step) take(step);
        } else {
            for (int step = 0; step < k + TILE - 1; ++step) take(step);
        }
    }
    for (int o = 0; o < TILE; ++o)
        for (int v = 0; v < VECTORS; ++v) store(out + place + o * LANES + v * WIDTH, total[o][v]);
}

template <int K>
void convolve_block(const Window& w, const float* taps, const float* in, const float* start, float* out) {
    for (int row = 0; row < w.grid; ++row) {
        int column = 0;
        for (; column + 4 <= w.grid; column += 4) convolve_tile<K, 4>(w, taps, in, start, out, row, column);
        for (; column < w.grid; ++column) convolve_tile<K, 1>(w, taps, in, start, out, row, column);
    }
}

void convolve(const Window& w, const float* taps, const float* in, const float* start, float* out) {
    switch (w.kernel) {
        case 3: return convolve_block<3>(w, taps, in, start, out);
        case 5: return convolve_block<5>(w, taps, in, start, out);
        case 7: return convolve_block<7>(w, taps, in, start, out);
        case 9: return convolve_block<9>(w, taps, in, start, out);
        default: return convolve_block<0>(w, taps, in, start, out);
    }
}

// Adds to sums (kernel, kernel, WIDTH) the products of the inputs `x` and the output gradients `dy` of one block.
// GRID is the side of the grid, 0 for one that is only known at run time: the borders of a small grid are most of it, and
// are unrolled with it. Up to a kernel of 5 the registers allow sums of their own for each vector of a place.
template <int K, int GRID> void correlate_block(const Window& w, const float* x, const float* dy, float* sums) {
    constexpr int BEFORE = (K - 1) / 2, SETS = K <= 5 ? VECTORS : 1;
    const int grid = GRID ? GRID : w.grid;
    for (int r = 0; r < K; ++r) {
        float* row_sums = sums + r * K * WIDTH;
        Vector total[SETS][K] = {};
        for (int row = std::max(0, BEFORE - r); row < std::min(grid, grid + BEFORE - r); ++row) {
            const float* line = x + static_cast<int64_t>(row + r - BEFORE) * grid * LANES;
            const float* gradients = dy + static_cast<int64_t>(row) * grid * LANES;
            const auto add = [&](int column, int from, int to) __attribute__((always_inline)) {
                const float* first = line + (column - BEFORE) * LANES;  // the place of tap 0
#pragma GCC unroll 4
                for (int v = 0; v < VECTORS; ++v) {
                    const Vector d = load(gradients + column * LANES + v * WIDTH);
#pragma GCC unroll 16
                    for (int tap = 0; tap < K; ++tap)
                        if (tap >= from && tap < to) total[v % SETS][tap] += d * load(first + tap * LANES + v * WIDTH);
                }
            };
            if (GRID) {
#pragma GCC unroll 16
                for (int column = 0; column < GRID; ++column) add(column, BEFORE - column, GRID + BEFORE - column);
            } else {
                const int begin = std::min(BEFORE, grid), end = std::max(begin, grid + BEFORE - K + 1);
                for (int column = 0; column < begin; ++column) add(column, BEFORE - column, grid + BEFORE - column);
                for (int column = begin; column < end; ++column) add(column, 0, K);
                for (int column = end; column < grid; ++column) add(column, BEFORE - column, grid + BEFORE - column);
            }
        }
        for (int tap = 0; tap < K; ++tap)
            for (int v = 0; v < SETS; ++v) store(row_sums + tap * WIDTH, load(row_sums + tap * WIDTH) + total[v][tap]);
    }
}

template <int K> void correlate_grid(const Window& w, const float* x, const float* dy, float* sums) {
    switch (w.grid) {
        case 4: return correlate_block<K, 4>(w, x, dy, sums);
        case 8: return correlate_block<K, 8>(w, x, dy, sums);
        default: return correlate_block<K, 0>(w, x, dy, sums);
    }
}

void correlate_any(const Window& w, const float* x, const float* dy, float* sums) {
    const int k = w.kernel;
    for (int r = 0; r < k; ++r)
        for (int tap = 0; tap < k; ++tap) {
            Vector total{};
            for (int row = std::max(0, w.before - r); row < std::min(w.grid, w.grid + w.before - r); ++row)
                for (int column = std::max(0, w.before - tap); column < std::min(w.grid, w.grid + w.before - tap); ++column) {
                    const float* place = x + (static_cast<int64_t>(row + r - w.before) * w.grid + column + tap - w.before) * LANES;
                    const float* d = dy + (static_cast<int64_t>(row) * w.grid + column) * LANES;
                    for (int v = 0; v < VECTORS; ++v) total += load(place + v * WIDTH) * load(d + v * WIDTH);
                }
            float* here = sums + (r * k + tap) * WIDTH;
            store(here, load(here) + total);
        }
}

void correlate(const Window& w, const float* x, const float* dy, float* sums) {
    switch (w.kernel) {
        case 3: return correlate_grid<3>(w, x, dy, sums);
        case 5: return correlate_grid<5>(w, x, dy, sums);
        case 7: return correlate_grid<7>(w, x, dy, sums);
        case 9: return correlate_grid<9>(w, x, dy, sums);
        default: return correlate_any(w, x, dy, sums);
    }
}

// A channel's row as whole blocks: work(block of the row, count of images), the last through padded copies.
struct Blocks {
    int64_t images;
    int places;
    int64_t whole() const { return images / LANES; }
    int rest() const { return static_cast<int>(images % LANES); }
    int64_t block_size() const { return static_cast<int64_t>(places) * LANES; }
    void pad(const float* from, float* to) const {
        for (int p = 0; p < places; ++p)
            for (int lane = 0; lane < LANES; ++lane) to[p * LANES + lane] = lane < rest() ? from[p * rest() + lane] : 0;
    }
    void unpad(const float* from, float* to) const {
        for (int p = 0; p < places; ++p) std::memcpy(to + static_cast<int64_t>(p) * rest(), from + p * LANES, sizeof(float) * rest());
    }
};

void spread_taps(const float* weight, int count, bool flipped, float* taps) {
    for (int t = 0; t < count; ++t)
        std::fill_n(taps + t * LANES, LANES, weight[flipped ? count - 1 - t : t]);
}

void convolve_row(const Window& w, const Blocks& b, const float* taps, const float* in, const float* start, float* out,
                  float* padded) {
    const int64_t size = b.block_size(), rest = b.whole() * size;
    for (int64_t at = 0; at < rest; at += size) convolve(w, taps, in + at, start ? start + at : nullptr, out + at);
    if (!b.rest()) return;
    b.pad(in + rest, padded);
    if (start) b.pad(start + rest, padded + size);
    convolve(w, taps, padded, start ? padded + size : nullptr, padded + 2 * size);
    b.unpad(padded + 2 * size, out + rest);
}

void correlate_row(const Window& w, const Blocks& b, const float* x, const float* dy, float* gradient, float* sums, float* padded) {
    const int count = w.kernel * w.kernel;
    std::fill_n(sums, count * WIDTH, 0.0f);
    for (int64_t block = 0; block < b.whole(); ++block)
        correlate(w, x + block * b.block_size(), dy + block * b.block_size(), sums);
    if (b.rest()) {
        b.pad(x + b.whole() * b.block_size(), padded);
        b.pad(dy + b.whole() * b.block_size(), padded + b.block_size());
        correlate(w, padded, padded + b.block_size(), sums);
    }
    for (int t = 0; t < count; ++t) gradient[t] = static_cast<float>(sum(load(sums + t * WIDTH)));
}

// ------------------------------------------------------------------------------------------------- matrix product

constexpr int TILE_ROWS = WIDTH == 16 ? 14 : 6;
constexpr int TILE_VECTORS = 2;
constexpr int TILE_COLUMNS = TILE_VECTORS * WIDTH;
constexpr int64_t PACKED = 24576;  // floats packed at a time, 96 KiB: half of a small second-level cache or less

// out (rows <= TILE_ROWS, columns <= TILE_COLUMNS) = a (inner, TILE_ROWS) by b (inner, TILE_COLUMNS), both packed.
inline void multiply_tile(int64_t inner, const float* a, const float* b, float* out, int64_t stride, int rows, int columns) {
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
                packed_a[(t * inner + i) * TILE_ROWS + r] = row >= rows ? 0 : transposed ? a[i * rows + row] : a[row * inner + i];
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
                        for (int v = 0; v < TILE_VECTORS; ++v) store(to + v * WIDTH, load(from + tile * TILE_COLUMNS + v * WIDTH));
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
void convmixer_normalise(const Norm* norm, int activation, const float* y, float* z, int64_t channels, int64_t columns, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t c = 0; c < channels; ++c)
        FOR_ACTIVATION(normalise_row)(*norm, c, y + c * columns, nullptr, z + c * columns, columns);
}

int convmixer_normalise_backward(const Norm* norm, const NormGradients* gradients, int activation, const float* y,
                                  const float* dz, float* dy, int64_t channels, int64_t columns, int threads) {
    const Room slopes(threads, columns);
    if (slopes.failed()) return 1;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t c = 0; c < channels; ++c)
        FOR_ACTIVATION(normalise_row_backward)(*norm, *gradients, c, y + c * columns, dz + c * columns, dy + c * columns,
                                               slopes.mine(), columns);
    return 0;
}

// y = depthwise(x), z = x + normalise(activate(y + bias)); weight is (channels, kernel, kernel).
int convmixer_mix_places(const Norm* norm, int activation, const float* weight, const float* x, float* y, float* z,
                          int64_t channels, int64_t images, int grid, int kernel, int threads) {
    const Window window{grid, kernel, (kernel - 1) / 2};
    const Blocks blocks{images, grid * grid};
    const int64_t columns = images * grid * grid;
    const Room taps(threads, int64_t{kernel} * kernel * LANES), padded(threads, 3 * blocks.block_size());
    if (taps.failed() || padded.failed()) return 1;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t c = 0; c < channels; ++c) {
        const int64_t at = c * columns;
        spread_taps(weight + c * kernel * kernel, kernel * kernel, false, taps.mine());
        convolve_row(window, blocks, taps.mine(), x + at, nullptr, y + at, padded.mine());
        FOR_ACTIVATION(normalise_row)(*norm, c, y + at, x + at, z + at, columns);
    }
    return 0;
}

int convmixer_mix_places_backward(const Norm* norm, const NormGradients* gradients, int activation, const float* weight,
                                   const float* x, const float* y, const float* dz, float* dx, float* weight_gradient,
                                   int64_t channels, int64_t images, int grid, int kernel, int threads) {
    const Window window{grid, kernel, (kernel - 1) / 2}, back{grid, kernel, kernel / 2};
    const Blocks blocks{images, grid * grid};
    const int64_t columns = images * grid * grid;
    const int taps_count = kernel * kernel;
    const Room taps(threads, int64_t{taps_count} * LANES), sums(threads, int64_t{taps_count} * WIDTH);
    const Room padded(threads, 3 * blocks.block_size()), gradient(threads, columns);
    if (taps.failed() || sums.failed() || padded.failed() || gradient.failed()) return 1;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t c = 0; c < channels; ++c) {
        const int64_t at = c * columns;
        float* dy = gradient.mine();
        FOR_ACTIVATION(normalise_row_backward)(*norm, *gradients, c, y + at, dz + at, dy, dx + at, columns);
        correlate_row(window, blocks, x + at, dy, weight_gradient + c * taps_count, sums.mine(), padded.mine());
        spread_taps(weight + c * taps_count, taps_count, true, taps.mine());
        convolve_row(back, blocks, taps.mine(), dy, dz + at, dx + at, padded.mine());
    }
    return 0;
}

}  // extern "C"
