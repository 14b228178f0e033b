using System.Collections.Concurrent;
using System.Numerics.Tensors;

namespace OrtCpr.Data;

/// <summary>Changes a sampling rate by a windowed sinc: each sample of the result is a sum of the samples about its place,
/// weighted by the ideal low-pass filter under a Kaiser window. Places between samples come in as many phases as the reduced
/// ratio of the rates has; the weights of a phase are computed once.</summary>
/// <remarks>Flat to 0.8 of the lower rate's half, 80 dB down from that half on. Thread-safe.</remarks>
internal sealed class Resampler
{
    // Zero crossings of the sinc on each side; the window's shape; where the filter cuts, of half the lower rate.
    private const int Crossings = 32;
    private const double Beta = 9, Cutoff = 0.92;

    private static readonly ConcurrentDictionary<(int From, int To), Resampler> Known = new();

    private readonly int _up, _down, _reach;
    private readonly double _cutoff;
    private readonly ConcurrentDictionary<int, float[]> _phases = new();

    private Resampler(int from, int to)
    {
        int common = (int)System.Numerics.BigInteger.GreatestCommonDivisor(from, to);
        (_up, _down) = (to / common, from / common);
        _cutoff = Cutoff * Math.Min(1, (double)to / from);
        _reach = (int)Math.Ceiling(Crossings / _cutoff);
    }

    /// <summary>From one rate to another.</summary>
    public static Resampler Of(int from, int to) => Known.GetOrAdd((from, to), rates => new Resampler(rates.From, rates.To));

    /// <summary>How many samples come of so many.</summary>
    public static long LengthOf(long length, int from, int to) => (long)Math.Ceiling((decimal)length * to / from);

    /// <summary>Resamples one channel.</summary>
    /// <param name="source">Samples; beyond both ends there is silence.</param>
    /// <param name="target">The first samples of the result, as many as are wanted.</param>
    public void Run(ReadOnlySpan<float> source, Span<float> target)
    {
        for (int i = 0; i < target.Length; i++)
        {
            long place = (long)i * _down;
            int phase = (int)(place % _up);
            long first = (place / _up) - _reach + 1;
            ReadOnlySpan<float> weights = _phases.GetOrAdd(phase, Weights);
            int skipped = (int)Math.Max(0, -first), count = (int)Math.Min(weights.Length, source.Length - first) - skipped;
            target[i] = count <= 0 ? 0
                : TensorPrimitives.Dot(source.Slice((int)(first + skipped), count), weights.Slice(skipped, count));
        }
    }

    /// <summary>Weights of the samples about a place that lies so many parts behind one of them; their sum is 1.</summary>
    private float[] Weights(int phase)
    {
        double[] weights = new double[2 * _reach];
        double behind = (double)phase / _up;
        for (int k = 0; k < weights.Length; k++)
        {
            double distance = k - _reach + 1 - behind, x = Math.PI * distance * _cutoff, place = distance / _reach;
            weights[k] = Math.Abs(place) >= 1 ? 0
                : (x == 0 ? 1 : Math.Sin(x) / x) * BesselI0(Beta * Math.Sqrt(1 - (place * place))) / BesselI0(Beta);
        }
        double sum = weights.Sum();
        return [.. weights.Select(w => (float)(w / sum))];
    }

    /// <summary>Modified Bessel function of the first kind, order 0, by its power series.</summary>
    private static double BesselI0(double x)
    {
        double sum = 1, term = 1;
        for (int k = 1; term > 1e-17 * sum; k++)
        {
            term *= x / (2 * k) * (x / (2 * k));
            sum += term;
        }
        return sum;
    }
}
