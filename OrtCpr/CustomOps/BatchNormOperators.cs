using System.Runtime.InteropServices;
using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>Batch normalisation by the batch's statistics: x [N, C, …], gain [C], bias [C], a residual of x's shape where there is one → y, mean [C], variance [C], 1/σ [C].</summary>
internal sealed unsafe class BatchNormOperator(string name, bool hasSkip, bool relu) : CpuOperator(
    name,
    [new("x", OperandType.Float), new("gain", OperandType.Float), new("bias", OperandType.Float), .. hasSkip ? new Operand[] { new("skip", OperandType.Float) } : []],
    [new("y", OperandType.Float), new("mean", OperandType.Float), new("variance", OperandType.Float), new("inverse", OperandType.Float)])
{
    /// <inheritdoc/>
    public override nint CreateState(nint info)
    {
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
        InputTensor<float> x = context.Next<float>();
        BatchNormTensors tensors = TensorsOf(Name, x);
        tensors.Epsilon = *(float*)context.State;
        tensors.Gain = Channels(ref context, tensors.Channels);
        tensors.Bias = Channels(ref context, tensors.Channels);
        if (hasSkip)
        {
            InputTensor<float> skip = context.Next<float>();
            context.Expect(skip, x.Length);
            tensors.Skip = skip.Data;
        }
        tensors.Relu = relu;
        tensors.Y = context.Output(0, x.Shape);
        tensors.Mean = context.Output(1, [tensors.Channels]);
        tensors.Variance = context.Output(2, [tensors.Channels]);
        tensors.Inverse = context.Output(3, [tensors.Channels]);
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
        return new() { Batch = (nint)x.Shape[0], Channels = (nint)x.Shape[1], Inner = inner, X = x.Data };
    }

    /// <summary>The next input, one element a channel.</summary>
    internal static float* Channels(ref KernelContext context, nint channels)
    {
        InputTensor<float> vector = context.Next<float>();
        context.Expect(vector, channels);
        return vector.Data;
    }
}

/// <summary>The gradient of <see cref="BatchNormOperator"/>: x, gain, mean, 1/σ, y where a Relu is part of it, dy → dx, dgain [C], dbias [C].</summary>
internal sealed unsafe class BatchNormGradOperator(string name, bool relu) : CpuOperator(
    name,
    [
        new("x", OperandType.Float), new("gain", OperandType.Float), new("mean", OperandType.Float), new("inverse", OperandType.Float),
        .. relu ? new Operand[] { new("y", OperandType.Float) } : [], new("dy", OperandType.Float),
    ],
    [new("dx", OperandType.Float), new("dgain", OperandType.Float), new("dbias", OperandType.Float)])
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> x = context.Next<float>();
        BatchNormTensors tensors = BatchNormOperator.TensorsOf(Name, x);
        tensors.Gain = BatchNormOperator.Channels(ref context, tensors.Channels);
        tensors.Mean = BatchNormOperator.Channels(ref context, tensors.Channels);
        tensors.Inverse = BatchNormOperator.Channels(ref context, tensors.Channels);
        if (relu)
        {
            InputTensor<float> y = context.Next<float>();
            context.Expect(y, x.Length);
            tensors.Y = y.Data;
        }
        InputTensor<float> dy = context.Next<float>();
        context.Expect(dy, x.Length);
        tensors.Relu = relu;
        tensors.Dy = dy.Data;
        tensors.Dx = context.Output(0, x.Shape);
        tensors.DGain = context.Output(1, [tensors.Channels]);
        tensors.DBias = context.Output(2, [tensors.Channels]);
        BatchNormKernel.Backward(tensors, context.Threads);
    }
}
