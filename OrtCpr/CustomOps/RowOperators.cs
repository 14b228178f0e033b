using OrtCpr.Graph.Operators;
using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>Softmax over the last axis.</summary>
internal sealed unsafe class SoftmaxOperator(OperatorDefinition definition) : OperatorKernel(definition)
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> x = context.In<float>("x");
        (nint rows, nint columns) = Rows(Name, x);
        SoftmaxKernel.Forward(x.Data, context.Out("y", x.Shape), rows, columns, context.Threads);
    }

    /// <summary>A tensor as rows of its last axis.</summary>
    internal static (nint Rows, nint Columns) Rows(string name, in InputTensor<float> x)
    {
        if (x.Shape.Length == 0)
            throw new OperandException($"{name}: '{x.Name}' is a scalar, expected rank 1 or more.");
        nint columns = (nint)x.Shape[^1];
        return (columns == 0 ? 0 : x.Length / columns, columns);
    }
}

/// <summary>The gradient of <see cref="SoftmaxOperator"/>.</summary>
internal sealed unsafe class SoftmaxGradOperator(OperatorDefinition definition) : OperatorKernel(definition)
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> y = context.In<float>("y");
        float* dy = context.Like("dy", y.Length);
        (nint rows, nint columns) = SoftmaxOperator.Rows(Name, y);
        SoftmaxKernel.Backward(y.Data, dy, context.Out("dx", y.Shape), rows, columns, context.Threads);
    }
}

/// <summary>The gradient of LayerNormalization, or that of RMSNormalization, which has no mean, no bias and computes 1/σ itself.</summary>
internal sealed unsafe class LayerNormGradOperator(OperatorDefinition definition, bool hasMean) : FloatAttributeOperator(definition,
    "epsilon")
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> x = context.In<float>("x"), gain = context.In<float>("gain");
        if (gain.Length == 0 ? x.Length != 0 : x.Length % gain.Length != 0)
            throw new OperandException($"{Name}: 'x' has {x.Length} elements, which are no rows of 'gain', {gain.Length}.");
        LayerNormGradTensors tensors = new()
        { Columns = gain.Length, Rows = gain.Length == 0 ? 0 : x.Length / gain.Length, X = x.Data, Gain = gain.Data };
        if (hasMean)
        {
            tensors.Mean = context.Like("mean", tensors.Rows);
            tensors.Inverse = context.Like("inverse", tensors.Rows);
        }
        else
        {
            tensors.Epsilon = Attribute(context);
        }
        tensors.Dy = context.Like("dy", x.Length);
        tensors.Dx = context.Out("dx", x.Shape);
        tensors.DGain = context.Out("dgain", gain.Shape);
        tensors.DBias = hasMean ? context.Out("dbias", gain.Shape) : null;
        nint allocator = OrtNative.GetAllocator(context.Handle), length = LayerNormGradKernel.ScratchLength(tensors.Rows, tensors.Columns);
        void* scratch = null;
        try
        {
            if (length > 0)
                scratch = OrtNative.Allocate(allocator, (nuint)(length * sizeof(float)));
            tensors.Partial = (float*)scratch;
            LayerNormGradKernel.Run(tensors, context.Threads);
        }
        finally
        {
            if (scratch != null)
                OrtNative.Free(allocator, scratch);
            OrtNative.ReleaseAllocator(allocator);
        }
    }
}
