using OrtCpr.Benchmarks.Sides;
using OrtCpr.Graph;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace OrtCpr.Benchmarks.Peers;

/// <summary>A model in TorchSharp with AdamW on one fixed batch. Owner of its tensors.</summary>
internal abstract class TorchTraining : ITrainingSide
{
    private readonly Dictionary<string, Parameter> _weights = new(StringComparer.Ordinal);
    private readonly List<IDisposable> _owned = [];
    private AdamW? _optimizer;

    /// <param name="weights">Values, taken over.</param>
    /// <param name="trains">Whether a weight is trained; null for all.</param>
    protected TorchTraining(IEnumerable<(string Name, Tensor Value)> weights, Func<string, bool>? trains = null)
    {
        foreach ((string name, Tensor value) in weights)
        {
            _weights[name] = new Parameter(value, trains?.Invoke(name) ?? true);
            _weights[name].DetachFromDisposeScope();
        }
    }

    /// <summary>Values of our side, copied one by one.</summary>
    public static IEnumerable<(string Name, Tensor Value)> Copy(IReadOnlyDictionary<string, TensorData> weights) =>
        weights.Select(w => (w.Key, tensor(w.Value.ToArray<float>(), [.. w.Value.Dimensions])));

    /// <summary>Gains of 1, biases of 0 and small random matrices.</summary>
    public static IEnumerable<(string Name, Tensor Value)> Draw(IEnumerable<(string Name, long[] Dimensions)> shapes) =>
        shapes.Select(s =>
            (s.Name, s.Dimensions.Length > 1 ? randn(s.Dimensions).mul_(0.02) : s.Name.EndsWith("bias", StringComparison.Ordinal)
                ? zeros(s.Dimensions) : ones(s.Dimensions)));

    /// <summary>The scope frees what the optimizer itself leaves to the garbage collector.</summary>
    public double Step()
    {
        using DisposeScope scope = NewDisposeScope();
        _optimizer!.zero_grad();
        Tensor loss = Loss();
        loss.backward();
        _optimizer.step();
        return loss.ToDouble();
    }

    public void Dispose()
    {
        _optimizer?.Dispose();
        foreach (IDisposable owned in _owned.Concat(_weights.Values))
            owned.Dispose();
    }

    /// <summary>Mean loss of the batch. Everything but the result must be out of its dispose scope then: what the
    /// backward pass needs is held by the result.</summary>
    protected abstract Tensor Loss();

    protected Parameter Weight(string name) => _weights[name];

    /// <summary>Puts a module's own parameter in place of the one that it was made from.</summary>
    protected void Replace(string name, Parameter parameter) =>
        _weights[name] = parameter.DetachFromDisposeScope() as Parameter ?? parameter;

    /// <summary>Keeps something until the end.</summary>
    protected T Own<T>(T value) where T : IDisposable
    {
        if (value is Tensor held)
            held.DetachFromDisposeScope();
        _owned.Add(value);
        return value;
    }

    /// <summary>Makes the optimizer once all parameters are in place; matrices are decayed, vectors are not.</summary>
    protected void Start(double learningRate) =>
        _optimizer = TorchOptimizers.AdamW([.. _weights.Values.Where(w => w.requires_grad)], learningRate, 0.9, 0.999, 0.1);
}
