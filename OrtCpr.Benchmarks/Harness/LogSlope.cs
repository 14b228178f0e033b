namespace OrtCpr.Benchmarks.Harness;

/// <summary>How a time grows with a size: 1 is in proportion, 2 is by the square.</summary>
internal static class LogSlope
{
    /// <summary>Slope of the straight line that fits the points best on log-log axes, by least squares.</summary>
    public static double Of(IReadOnlyList<(double Size, double Time)> points)
    {
        (double X, double Y)[] logs = [.. points.Select(p => (Math.Log(p.Size), Math.Log(p.Time)))];
        double x = logs.Average(p => p.X), y = logs.Average(p => p.Y);
        return logs.Sum(p => (p.X - x) * (p.Y - y)) / logs.Sum(p => (p.X - x) * (p.X - x));
    }
}
