using System.Globalization;
using OrtCpr.Graph;

namespace OrtCpr.Tool.Verify;

// Compares what came out with what is stored and remembers the first tensor that is wrong.
internal sealed class TensorCheck(CasePrecision precision)
{
    private readonly List<string> _wrong = [];

    public int Compared { get; private set; }

    public CasePrecision Precision { get; } = precision;

    // Units of the precision that are allowed from here on.
    public double Units { get; set; } = CasePrecision.ModelUnits;

    public IReadOnlyList<string> Wrong => _wrong;

    // |actual − expected| ≤ atol + rtol·|expected| for every element; NaN only where NaN is expected.
    public void Near(string name, TensorData actual, TensorData expected, double atol, double rtol)
    {
        if (!actual.Dimensions.SequenceEqual(expected.Dimensions))
        {
            Compared++;
            _wrong.Add($"{name}: expected shape [{string.Join(',', expected.Dimensions)}], found [{string.Join(',', actual.Dimensions)}]");
            return;
        }
        if (expected.Type.IsFloating()) Near(name, actual.ToDoubles(), expected.ToDoubles(), _ => atol, rtol);
        else Equal(name, actual, expected);
    }

    public void Near(string name, ReadOnlySpan<double> actual, ReadOnlySpan<double> expected, Func<int, double> atol, double rtol)
    {
        Compared++;
        double worst = 0, worstRelative = 0, rounding = Precision.Unit == 0 ? 0 : Units * Precision.Unit * Largest(expected);
        int at = -1, bad = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            if (actual[i] == expected[i] || (double.IsNaN(expected[i]) && double.IsNaN(actual[i]))) continue;
            double error = Math.Abs(actual[i] - expected[i]);
            if (error <= rounding + atol(i) + (rtol * Math.Abs(expected[i]))) continue;
            bad++;
            if (at >= 0 && !(error > worst) && !double.IsNaN(error)) continue;
            worst = error;
            worstRelative = error / Math.Abs(expected[i]);
            at = i;
        }
        if (at < 0) return;
        _wrong.Add(string.Create(CultureInfo.InvariantCulture,
            $"{name}: {bad} of {expected.Length} elements wrong; worst at [{at}]: expected {expected[at]:G9}, found {actual[at]:G9}, "
                + $"absolute {worst:G3}, relative {worstRelative:G3}, allowed {rounding + atol(at) + (rtol * Math.Abs(expected[at])):G3}"));
    }

    private static double Largest(ReadOnlySpan<double> values)
    {
        double largest = 0;
        foreach (double value in values) largest = double.IsFinite(value) ? Math.Max(largest, Math.Abs(value)) : largest;
        return largest;
    }

    private void Equal(string name, TensorData actual, TensorData expected)
    {
        Compared++;
        if (actual.Type != expected.Type)
        {
            _wrong.Add($"{name}: expected type {expected.Type}, found {actual.Type}");
            return;
        }
        if (!actual.Bytes.Span.SequenceEqual(expected.Bytes.Span)) _wrong.Add($"{name}: {expected.Type} values differ");
    }
}
