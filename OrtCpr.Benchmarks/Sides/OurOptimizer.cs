using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Benchmarks.Sides;

/// <summary>AdamCPR by <see cref="OptimizerDriver"/> over a list of tensors with fixed random gradients; every matrix is constrained.</summary>
internal sealed class OurOptimizer : IStepper
{
    private readonly OptimizerDriver _driver;
    private readonly OptimizerVariant _variant;

    public OurOptimizer(IReadOnlyList<(string Name, long[] Dimensions)> tensors, OptimizerVariant variant, int threads)
    {
        _variant = variant;
        ParameterSpec[] parameters = [.. tensors.Select(t => new ParameterSpec(t.Name, ElementType.Float, t.Dimensions, Constrained: t.Dimensions.Length >= 2))];
        var graph = OptimizerGraph.Build(parameters, new OptimizerOptions
        {
            Groups = [OurSides.AdamCpr(variant.PositiveMultipliers, learningRate: 1e-3)],
            NonFiniteGuard = variant.Guard,
        });
        var random = new Random(1);
        _driver = new OptimizerDriver(graph, tensors.ToDictionary(t => t.Name, t => Draw(random, t.Dimensions, 0.02f)), new DriverOptions { Threads = threads });
        foreach ((string name, long[] dimensions) in tensors)
            _driver.Set(OptimizerGraph.GradientOf(name), Draw(random, dimensions, 1e-3f));
        _driver.Step();
        OurSides.CheckMultipliers(_driver, variant.PositiveMultipliers);
    }

    public void Step() => _driver.Step();

    public void Dispose()
    {
        // Behind the measurement: it was of what it says.
        OurSides.CheckMultipliers(_driver, _variant.PositiveMultipliers);
        _driver.Dispose();
    }

    // Uniform with this standard deviation: only the size matters here, and it is quick to draw.
    private static TensorData Draw(Random random, long[] dimensions, float deviation)
    {
        float[] values = new float[dimensions.Aggregate(1L, (product, d) => product * d)];
        float range = deviation * MathF.Sqrt(12);
        for (int i = 0; i < values.Length; i++)
            values[i] = (random.NextSingle() - 0.5f) * range;
        return TensorData.From<float>(values, dimensions);
    }
}
