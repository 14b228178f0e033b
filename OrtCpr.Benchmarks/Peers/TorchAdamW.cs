using OrtCpr.Benchmarks.Harness;
using OrtCpr.Benchmarks.Sides;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace OrtCpr.Benchmarks.Peers;

/// <summary>TorchSharp's AdamW over a list of tensors with fixed random gradients. Owner of its tensors.</summary>
/// <remarks>TorchSharp 0.107 has one AdamW: a loop over the parameters with in-place ATen calls, each of them threaded.
/// libtorch's <c>_fused_adamw_</c> and the <c>_foreach_</c> calls are not reachable from it.</remarks>
internal sealed class TorchAdamW : IStepper
{
    private readonly Parameter[] _parameters;
    private readonly AdamW _optimizer;

    /// <param name="shapes">One parameter each; matrices are decayed, vectors are not.</param>
    /// <param name="learningRate">Constant.</param>
    /// <param name="weightDecay">Of the matrices.</param>
    public TorchAdamW(IReadOnlyList<long[]> shapes, double learningRate = 1e-3, double weightDecay = 0.1)
    {
        using DisposeScope scope = NewDisposeScope();
        _parameters = [.. shapes.Select(shape => new Parameter(randn(shape).mul_(0.02)))];
        foreach (Parameter parameter in _parameters)
        {
            parameter.DetachFromDisposeScope();
            parameter.grad = randn(parameter.shape).mul_(1e-3);
        }
        _optimizer = TorchOptimizers.AdamW(_parameters, learningRate, 0.9, 0.999, weightDecay);

        // The first step of Adam is the learning rate times a sign, whatever the gradient; the decay adds little.
        double[] before = [.. _parameters.Select(LastElement)];
        _optimizer.step();
        if (before.Zip(_parameters)
            .Any(pair => Math.Abs(Math.Abs(pair.First - LastElement(pair.Second)) - learningRate) > 0.1 * learningRate))
        {
            throw new BenchmarkException("TorchSharp's first step did not change every tensor by the learning rate.");
        }
    }

    /// <summary>The scope frees what the optimizer itself leaves to the garbage collector: a quarter less time when
    /// steps follow each other.</summary>
    public void Step()
    {
        using DisposeScope scope = NewDisposeScope();
        _optimizer.step();
    }

    private static double LastElement(Tensor tensor) => tensor.detach().view(-1)[^1].ToDouble();

    public void Dispose()
    {
        _optimizer.Dispose();
        foreach (Parameter parameter in _parameters)
            parameter.Dispose();
    }
}

internal static class TorchOptimizers
{
    /// <summary>AdamW with decoupled decay of everything that has two dimensions or more.</summary>
    public static AdamW AdamW(IReadOnlyList<Parameter> parameters, double learningRate, double beta1, double beta2, double weightDecay) =>
        optim.AdamW(
    [
        new AdamW.ParamGroup(parameters.Where(p => p.dim() >= 2), new AdamW.Options
            { weight_decay = weightDecay, beta1 = beta1, beta2 = beta2, eps = 1e-8 }),
        new AdamW.ParamGroup(parameters.Where(p => p.dim() < 2), new AdamW.Options
            { weight_decay = 0, beta1 = beta1, beta2 = beta2, eps = 1e-8 }),
    ], learningRate, beta1, beta2, weight_decay: weightDecay);
}
