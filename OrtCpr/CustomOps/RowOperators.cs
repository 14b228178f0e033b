using System.Runtime.InteropServices;
using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>Softmax over the last axis: x → y.</summary>
internal sealed unsafe class SoftmaxOperator() : CpuOperator("Softmax", [new("x", OperandType.Float)], [new("y", OperandType.Float)])
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> x = context.Next<float>();
        (nint rows, nint columns) = Rows(Name, x);
        SoftmaxKernel.Forward(x.Data, context.Output(0, x.Shape), rows, columns, context.Threads);
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

/// <summary>The gradient of <see cref="SoftmaxOperator"/>: y, dy → dx.</summary>
internal sealed unsafe class SoftmaxGradOperator() : CpuOperator("SoftmaxGrad", [new("y", OperandType.Float), new("dy", OperandType.Float)], [new("dx", OperandType.Float)])
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> y = context.Next<float>(), dy = context.Next<float>();
        context.Expect(dy, y.Length);
        (nint rows, nint columns) = SoftmaxOperator.Rows(Name, y);
        SoftmaxKernel.Backward(y.Data, dy.Data, context.Output(0, y.Shape), rows, columns, context.Threads);
    }
}

/// <summary>The gradient of LayerNormalization (x, gain, mean, 1/σ, dy → dx, dgain, dbias) or of RMSNormalization (x, gain, dy → dx, dgain; attribute epsilon).</summary>
internal sealed unsafe class LayerNormGradOperator(string name, bool hasMean) : CpuOperator(
    name,
    [
        new("x", OperandType.Float), new("gain", OperandType.Float),
        .. hasMean ? new Operand[] { new("mean", OperandType.Float), new("inverse", OperandType.Float) } : [], new("dy", OperandType.Float),
    ],
    [new("dx", OperandType.Float), new("dgain", OperandType.Float), .. hasMean ? new Operand[] { new("dbias", OperandType.Float) } : []])
{
    /// <inheritdoc/>
    public override nint CreateState(nint info)
    {
        if (hasMean) return 0;
        float epsilon = OrtNative.GetFloat(info, "epsilon\0"u8);
        float* made = (float*)NativeMemory.Alloc(sizeof(float));
        *made = epsilon;
        return (nint)made;
    }

    /// <inheritdoc/>
    public override void DestroyState(nint state) => NativeMemory.Free((void*)state);

    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> x = context.Next<float>(), gain = context.Next<float>();
        if (gain.Length == 0 ? x.Length != 0 : x.Length % gain.Length != 0)
            throw new OperandException($"{Name}: 'x' has {x.Length} elements, which are no rows of 'gain', {gain.Length}.");
        LayerNormGradTensors tensors = new() { Columns = gain.Length, Rows = gain.Length == 0 ? 0 : x.Length / gain.Length, X = x.Data, Gain = gain.Data };
        if (hasMean)
        {
            InputTensor<float> mean = context.Next<float>(), inverse = context.Next<float>();
            context.Expect(mean, tensors.Rows);
            context.Expect(inverse, tensors.Rows);
            tensors.Mean = mean.Data;
            tensors.Inverse = inverse.Data;
        }
        else
        {
            tensors.Epsilon = *(float*)context.State;
        }
        InputTensor<float> dy = context.Next<float>();
        context.Expect(dy, x.Length);
        tensors.Dy = dy.Data;
        tensors.Dx = context.Output(0, x.Shape);
        tensors.DGain = context.Output(1, gain.Shape);
        tensors.DBias = hasMean ? context.Output(2, gain.Shape) : null;
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
