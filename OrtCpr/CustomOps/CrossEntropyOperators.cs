using System.Runtime.InteropServices;
using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>What the operators of a cross-entropy have in common: the share of the target that is spread over the classes, attribute smoothing, where there is one.</summary>
internal abstract unsafe class CrossEntropyOperator(string name, bool isSmooth, IReadOnlyList<Operand> inputs, IReadOnlyList<Operand> outputs) : CpuOperator(name, inputs, outputs)
{
    /// <inheritdoc/>
    public override nint CreateState(nint info)
    {
        float smoothing = isSmooth ? OrtNative.GetFloat(info, "smoothing\0"u8) : 0;
        float* made = (float*)NativeMemory.Alloc(sizeof(float));
        *made = smoothing;
        return (nint)made;
    }

    /// <inheritdoc/>
    public override void DestroyState(nint state) => NativeMemory.Free((void*)state);

    /// <summary>Rows and classes; refuses labels outside of them, which would read other memory.</summary>
    protected (long Rows, long Classes) Check(in KernelContext context, in InputTensor<float> logits, in InputTensor<long> labels)
    {
        if (logits.Shape.Length != 2)
            throw new OperandException($"{Name}: 'logits' has rank {logits.Shape.Length}, expected 2.");
        (long rows, long classes) = (logits.Shape[0], logits.Shape[1]);
        context.Expect(labels, (nint)rows);
        for (nint n = 0; n < rows; n++)
        {
            if ((ulong)labels.Data[n] >= (ulong)classes)
                throw new OperandException($"{Name}: label {labels.Data[n]} of row {n} is outside of the {classes} classes.");
        }
        return (rows, classes);
    }
}

/// <summary>Cross-entropy of rows: logits [N, C], labels [N] → losses [N], logarithms of the sums [N].</summary>
internal sealed unsafe class CrossEntropyRowsOperator(string name, bool isSmooth) : CrossEntropyOperator(
    name,
    isSmooth,
    [new("logits", OperandType.Float), new("labels", OperandType.Int64)],
    [new("losses", OperandType.Float), new("log_sums", OperandType.Float)])
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> logits = context.Next<float>();
        InputTensor<long> labels = context.Next<long>();
        (long rows, long classes) = Check(context, logits, labels);
        CrossEntropyKernel.Forward(logits.Data, labels.Data, *(float*)context.State, context.Output(0, [rows]), context.Output(1, [rows]), (nint)rows, (nint)classes, context.Threads);
    }
}

/// <summary>The gradient of <see cref="CrossEntropyRowsOperator"/>: logits, labels, logarithms of the sums, dy [N] → [N, C].</summary>
internal sealed unsafe class CrossEntropyRowsGradOperator(string name, bool isSmooth) : CrossEntropyOperator(
    name,
    isSmooth,
    [new("logits", OperandType.Float), new("labels", OperandType.Int64), new("log_sums", OperandType.Float), new("dy", OperandType.Float)],
    [new("gradient", OperandType.Float)])
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> logits = context.Next<float>();
        InputTensor<long> labels = context.Next<long>();
        (long rows, long classes) = Check(context, logits, labels);
        InputTensor<float> logSums = context.Next<float>();
        context.Expect(logSums, (nint)rows);
        InputTensor<float> dy = context.Next<float>();
        context.Expect(dy, (nint)rows);
        CrossEntropyKernel.Backward(logits.Data, labels.Data, *(float*)context.State, logSums.Data, dy.Data, context.Output(0, logits.Shape), (nint)rows, (nint)classes, context.Threads);
    }
}
