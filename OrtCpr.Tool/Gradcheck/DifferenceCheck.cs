using OrtCpr.Graph;

namespace OrtCpr.Tool.Gradcheck;

// One direction of one parameter.
internal sealed record Difference(double Analytic, double Numeric, double RelativeError, bool Passed);

// Directional derivatives of the loss: from the gradient, and from central differences of fourth order.
internal sealed class DifferenceCheck
{
    private readonly TrainingDriver _driver;
    private readonly Batch _batch;
    private readonly bool _isDouble;
    private readonly Random _random;

    public DifferenceCheck(TrainingDriver driver, Batch batch, bool isDouble, int seed)
    {
        _driver = driver;
        _batch = batch;
        _isDouble = isDouble;
        _random = new Random(seed);
    }

    // Float32 leaves few digits to a difference.
    public double Tolerance => _isDouble ? 1e-5 : 2e-2;

    // The first direction is that of the gradient, where every element counts; the others are random.
    public IEnumerable<Difference> Of(string name, int directions)
    {
        double loss = Loss();
        double[] gradient = _driver.GetGradient(name).ToDoubles();
        TensorData start = _driver.GetParameter(name);
        double[] values = start.ToDoubles();
        double norm = Norm(gradient);
        for (int i = 0; i < directions; i++)
        {
            double[] direction = i == 0 && norm > 0 ? [.. gradient] : [.. gradient.Select(_ => (2 * _random.NextDouble()) - 1)];
            double length = Norm(direction);
            direction = [.. direction.Select(d => d / length)];
            double analytic = gradient.Zip(direction, (g, d) => g * d).Sum();
            // A kink may lie within one width and not within the other.
            yield return Steps(values).Select(h => Compare(analytic, Slope(h), norm / Math.Sqrt(gradient.Length), loss, h))
                .MinBy(d => d.Passed ? 0 : d.RelativeError)!;

            double Slope(double h) => ((8 * (At(h) - At(-h))) - (At(2 * h) - At(-2 * h))) / (12 * h);

            double At(double t)
            {
                _driver.UpdateParameter(name,
                    TensorData.From<double>([.. values.Zip(direction, (v, d) => v + (t * d))], [.. start.Dimensions])
                    .ConvertTo(start.Type));
                return Loss();
            }
        }
        _driver.UpdateParameter(name, start);
    }

    private double[] Steps(double[] values)
    {
        double size = Norm(values) + 1;
        return _isDouble ? [1e-5 * size, 1e-6 * size, 1e-4 * size] : [1e-2 * size, 2e-3 * size, 4e-4 * size];
    }

    // Derivatives far below what the gradient's size lets expect count by that size; rounding of the loss is taken off.
    private Difference Compare(double analytic, double numeric, double expected, double loss, double h)
    {
        double rounding = 4 * Math.Abs(loss) * (_isDouble ? 2.2e-16 : 1.2e-7) / h;
        double scale = Math.Max(Math.Max(Math.Abs(analytic), Math.Abs(numeric)), expected);
        double error = Math.Abs(analytic - numeric);
        return new Difference(analytic, numeric, scale == 0 ? 0 : error / scale, error <= (Tolerance * scale) + rounding);
    }

    private double Loss()
    {
        _driver.LazyResetGrad();
        return _driver.TrainStep(_batch);
    }

    private static double Norm(double[] values) => Math.Sqrt(values.Sum(v => v * v));
}
