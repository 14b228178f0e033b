using OrtCpr.Graph;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Benchmarks.Sides;

/// <summary>Draws the weights of a graph in the order in which they are asked for, and keeps them for the peer.</summary>
internal sealed class ModelWeights(OnnxGraph graph)
{
    private readonly Random _random = new(1);

    /// <summary>All of them, by name.</summary>
    public Dictionary<string, TensorData> All { get; } = new(StringComparer.Ordinal);

    /// <summary>Uniform numbers whose variance is that of Kaiming's rule for a sum of so many inputs.</summary>
    public Value Matrix(string name, int inputs, params long[] dimensions)
    {
        float range = MathF.Sqrt(6f / inputs);
        float[] values = [.. Enumerable.Range(0, checked((int)dimensions.Aggregate(1L, (n, d) => n * d)))
            .Select(_ => range * ((2 * _random.NextSingle()) - 1))];
        return Add(name, TensorData.From<float>(values, dimensions));
    }

    /// <summary>The same value everywhere.</summary>
    public Value Vector(string name, int size, float value) =>
        Add(name, TensorData.From<float>(Enumerable.Repeat(value, size).ToArray(), size));

    private Value Add(string name, TensorData data)
    {
        All[name] = data;
        return graph.AddInitializer(name, data);
    }
}
