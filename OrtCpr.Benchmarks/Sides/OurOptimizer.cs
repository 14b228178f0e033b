using OrtCpr.Benchmarks.Harness;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Benchmarks.Sides;

/// <summary>AdamCPR by <see cref="OptimizerDriver"/> over a list of tensors with fixed random gradients; every matrix
/// is constrained.</summary>
internal sealed class OurOptimizer : IStepper
{
    private const double LearningRate = 1e-3;

    private readonly IReadOnlyList<string> _names;
    private readonly OptimizerDriver _driver;
    private readonly OptimizerVariant _variant;

    public OurOptimizer(IReadOnlyList<(string Name, long[] Dimensions)> tensors, OptimizerVariant variant, int threads)
    {
        _variant = variant;
        _names = [.. tensors.Select(t => t.Name)];
        ParameterSpec[] parameters = [
            .. tensors.Select(t => new ParameterSpec(t.Name, ElementType.Float, t.Dimensions, Constrained: t.Dimensions.Length >= 2))];
        var graph = TrainingPlan.ForOptimizer(parameters, new OptimizerOptions
        {
            Groups = [OurSides.AdamCpr(variant.PositiveMultipliers, LearningRate)],
            NonFiniteGuard = variant.Guard,
        });
        var random = new Random(1);
        _driver = new OptimizerDriver(graph, tensors.ToDictionary(t => t.Name, t => Draw(random, t.Dimensions, 0.02f)), new DriverOptions
        { Threads = threads });
        foreach ((string name, long[] dimensions) in tensors)
            _driver.SetGradient(name, Draw(random, dimensions, 1e-3f));
        float[] before = [.. Samples()];
        _driver.Step();
        OurSides.CheckMultipliers(_driver, variant.PositiveMultipliers);
        // The first step of Adam is the learning rate times a sign, whatever the gradient; a constraint adds little.
        if (before.Zip(Samples()).Any(pair => Math.Abs(Math.Abs(pair.First - pair.Second) - LearningRate) > 0.1 * LearningRate))
            throw new BenchmarkException("The first optimizer step did not change every tensor by the learning rate.");
    }

    public void Step() => _driver.Step();

    public void Dispose()
    {
        // After the measurement, so that the check costs it nothing.
        OurSides.CheckMultipliers(_driver, _variant.PositiveMultipliers);
        _driver.Dispose();
    }

    /// <summary>First, middle and last element of every tensor.</summary>
    private IEnumerable<float> Samples()
    {
        foreach (string name in _names)
        {
            TensorData tensor = _driver.Get(name);
            foreach (long place in (long[])[0, tensor.ElementCount / 2, tensor.ElementCount - 1])
                yield return tensor.AsSpan<float>()[(int)place];
        }
    }

    /// <summary>Uniform with this standard deviation: only the size matters here, and it is quick to draw.</summary>
    private static TensorData Draw(Random random, long[] dimensions, float deviation)
    {
        float[] values = new float[dimensions.Aggregate(1L, (product, d) => product * d)];
        float range = deviation * MathF.Sqrt(12);
        for (int i = 0; i < values.Length; i++)
            values[i] = (random.NextSingle() - 0.5f) * range;
        return TensorData.From<float>(values, dimensions);
    }
}
