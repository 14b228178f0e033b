using OrtCpr.Graph;

namespace OrtCpr.Tool.Gradcheck;

// What a comparison came to. At a kink, such as Relu at 0, there is no derivative to compare with.
internal enum Verdict
{
    Pass,
    Kink,
    Fail,
}

// One direction of one parameter.
internal sealed record Difference(double Analytic, double Numeric, double RelativeError, Verdict Verdict)
{
    public bool Passed => Verdict != Verdict.Fail;
}

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
        Loss();
        double[] gradient = _driver.GetGradient(name).ToDoubles();
        double norm = Norm(gradient);
        for (int i = 0; i < directions; i++)
        {
            double[] direction = i == 0 && norm > 0 ? [.. gradient] : [.. gradient.Select(_ => (2 * _random.NextDouble()) - 1)];
            double length = Norm(direction);
            direction = [.. direction.Select(d => d / length)];
            Difference found = Along(name, direction, looksForKinks: true);
            // The point itself may be one where the pieces of the loss meet, which no single direction has to show.
            if (!found.Passed && double.IsFinite(norm) && PassesBeside(name, direction)) found = found with { Verdict = Verdict.Kink };
            yield return found;
        }
    }

    // Where the parameters stand.
    private Difference Along(string name, double[] direction, bool looksForKinks)
    {
        double loss = Loss();
        double[] gradient = _driver.GetGradient(name).ToDoubles();
        TensorData start = _driver.GetParameter(name);
        double[] values = start.ToDoubles();
        double analytic = gradient.Zip(direction, (g, d) => g * d).Sum(), expected = Norm(gradient) / Math.Sqrt(gradient.Length);
        double size = Norm(values) + 1;
        try
        {
            Difference? best = null;
            double[] steps = _isDouble ? [1e-5, 1e-6, 1e-4, 1e-3, 1e-7, 1e-2, 1e-8] : [1e-2, 2e-3, 4e-4, 8e-5, 5e-2, 1.6e-5];
            for (int i = 0; i < steps.Length; i++)
            {
                double h = steps[i] * size;
                Difference found = Compare(analytic, Slope(h), expected, Rounding(loss, h));
                // The steps after the third are for steep and for flat losses: none of them passes by its rounding.
                if (i >= 3 && Rounding(loss, h) > Tolerance * Scale(analytic, found.Numeric, expected)) continue;
                if (found.Passed) return found;
                if (best is null || !(found.RelativeError >= best.RelativeError)) best = found;
            }
            return looksForKinks && double.IsFinite(analytic) && IsKink((_isDouble ? 1e-5 : 2e-3) * size)
                ? best! with { Verdict = Verdict.Kink } : best!;
        }
        finally
        {
            _driver.UpdateParameter(name, start);
        }

        double Slope(double h) => ((8 * (At(h) - At(-h))) - (At(2 * h) - At(-2 * h))) / (12 * h);

        // Slopes of both sides that differ, and not less so in a smaller step, as they would where the loss only bends.
        bool IsKink(double h)
        {
            (double wideLeft, double wideRight) = Sides(h);
            (double left, double right) = Sides(h / 4);
            double slack = (Tolerance * Scale(analytic, Math.Max(Math.Abs(left), Math.Abs(right)), expected)) + Rounding(loss, h / 4);
            return Math.Abs(left - right) > 2 * slack && Math.Abs(left - right) > 0.5 * Math.Abs(wideLeft - wideRight)
                && analytic >= Math.Min(left, right) - slack && analytic <= Math.Max(left, right) + slack;
        }

        (double Left, double Right) Sides(double h) =>
            (((3 * loss) - (4 * At(-h)) + At(-2 * h)) / (2 * h), ((-3 * loss) + (4 * At(h)) - At(2 * h)) / (2 * h));

        double At(double t)
        {
            _driver.UpdateParameter(name,
                TensorData.From<double>([.. values.Zip(direction, (v, d) => v + (t * d))], [.. start.Dimensions]).ConvertTo(start.Type));
            return Loss();
        }
    }

    // The same comparison with all parameters moved a little, where pieces of the loss meet only by chance.
    private bool PassesBeside(string name, double[] direction)
    {
        (string Name, TensorData Value)[] all = [.. _driver.Plan.Parameters.Trained.Select(p => (p.Name, _driver.GetParameter(p.Name)))];
        try
        {
            foreach ((string parameter, TensorData value) in all)
            {
                double[] values = value.ToDoubles();
                double reach = 0.05 * (Norm(values) / Math.Sqrt(Math.Max(1, values.Length)) is > 0 and double mean ? mean : 1);
                _driver.UpdateParameter(parameter, TensorData.From<double>(
                    [.. values.Select(v => v + (reach * ((2 * _random.NextDouble()) - 1)))], [.. value.Dimensions]).ConvertTo(value.Type));
            }
            return Along(name, direction, looksForKinks: false).Passed;
        }
        finally
        {
            foreach ((string parameter, TensorData value) in all) _driver.UpdateParameter(parameter, value);
        }
    }

    // Derivatives far below what the gradient's size lets expect count by that size; rounding of the loss is taken off.
    private Difference Compare(double analytic, double numeric, double expected, double rounding)
    {
        double scale = Scale(analytic, numeric, expected), error = Math.Abs(analytic - numeric);
        return new Difference(analytic, numeric, scale == 0 ? 0 : error / scale,
            error <= (Tolerance * scale) + rounding ? Verdict.Pass : Verdict.Fail);
    }

    private static double Scale(double analytic, double numeric, double expected) =>
        Math.Max(Math.Max(Math.Abs(analytic), Math.Abs(numeric)), expected);

    private double Rounding(double loss, double h) => 4 * Math.Abs(loss) * (_isDouble ? 2.2e-16 : 1.2e-7) / h;

    private double Loss()
    {
        _driver.LazyResetGrad();
        return _driver.TrainStep(_batch);
    }

    private static double Norm(double[] values) => Math.Sqrt(values.Sum(v => v * v));
}
