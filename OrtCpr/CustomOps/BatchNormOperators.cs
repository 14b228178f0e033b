using OrtCpr.Graph.Operators;
using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>Batch normalisation by the batch's statistics, with a residual and a Relu where the operator has them.</summary>
internal sealed unsafe class BatchNormOperator(OperatorDefinition definition, bool relu) : FloatAttributeOperator(definition, "epsilon")
{
    private readonly bool _hasSkip = definition.Inputs.Any(s => s.Name == "skip");

    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> x = context.In<float>("x");
        BatchNormTensors tensors = TensorsOf(Name, x);
        tensors.Epsilon = Attribute(context);
        tensors.Gain = context.Like("gain", tensors.Channels);
        tensors.Bias = context.Like("bias", tensors.Channels);
        tensors.Skip = _hasSkip ? context.Like("skip", x.Length) : null;
        tensors.Relu = relu;
        tensors.Y = context.Out("y", x.Shape);
        tensors.Mean = context.Out("mean", [tensors.Channels]);
        tensors.Variance = context.Out("variance", [tensors.Channels]);
        tensors.Inverse = context.Out("inverse", [tensors.Channels]);
        BatchNormKernel.Forward(tensors, context.Threads);
    }

    /// <summary>Sizes, from x.</summary>
    internal static BatchNormTensors TensorsOf(string name, in InputTensor<float> x)
    {
        if (x.Shape.Length < 2)
            throw new OperandException($"{name}: 'x' has rank {x.Shape.Length}, expected 2 or more.");
        nint inner = 1;
        foreach (long size in x.Shape[2..])
            inner *= (nint)size;
        return new() { BatchSize = (nint)x.Shape[0], Channels = (nint)x.Shape[1], Inner = inner, X = x.Data };
    }
}

/// <summary>The gradient of <see cref="BatchNormOperator"/>, through a Relu where the operator has its result y.</summary>
internal sealed unsafe class BatchNormGradOperator(OperatorDefinition definition) : OperatorKernel(definition)
{
    private readonly bool _relu = definition.Inputs.Any(s => s.Name == "y");

    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> x = context.In<float>("x");
        BatchNormTensors tensors = BatchNormOperator.TensorsOf(Name, x);
        tensors.Gain = context.Like("gain", tensors.Channels);
        tensors.Mean = context.Like("mean", tensors.Channels);
        tensors.Inverse = context.Like("inverse", tensors.Channels);
        tensors.Y = _relu ? context.Like("y", x.Length) : null;
        tensors.Relu = _relu;
        tensors.Dy = context.Like("dy", x.Length);
        tensors.Dx = context.Out("dx", x.Shape);
        tensors.DGain = context.Out("dgain", [tensors.Channels]);
        tensors.DBias = context.Out("dbias", [tensors.Channels]);
        BatchNormKernel.Backward(tensors, context.Threads);
    }
}
