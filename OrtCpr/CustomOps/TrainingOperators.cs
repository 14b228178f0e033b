using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>A formula, element by element: x, or x and dy of x's shape → a tensor of x's shape.</summary>
internal sealed unsafe class ElementOperator<TFormula>(string name) : CpuOperator(
    name,
    TFormula.HasSecond ? [new("x", OperandType.Float), new("dy", OperandType.Float)] : [new("x", OperandType.Float)],
    [new("y", OperandType.Float)])
    where TFormula : struct, IElementFormula
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> x = context.Next<float>();
        float* dy = null;
        if (TFormula.HasSecond)
        {
            InputTensor<float> gradient = context.Next<float>();
            context.Expect(gradient, x.Length);
            dy = gradient.Data;
        }
        ElementKernel.Run<TFormula>(x.Data, dy, context.Output(0, x.Shape), x.Length, context.Threads);
    }
}

/// <summary>Cross-entropy of rows: logits [N, C], labels [N] → losses [N], logarithms of the sums [N].</summary>
internal sealed unsafe class CrossEntropyRowsOperator() : CpuOperator(
    "CrossEntropyRows",
    [new("logits", OperandType.Float), new("labels", OperandType.Int64)],
    [new("losses", OperandType.Float), new("log_sums", OperandType.Float)])
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> logits = context.Next<float>();
        InputTensor<long> labels = context.Next<long>();
        (long rows, long classes) = Check(Name, context, logits, labels);
        CrossEntropyKernel.Forward(logits.Data, labels.Data, context.Output(0, [rows]), context.Output(1, [rows]), (nint)rows, (nint)classes, context.Threads);
    }

    /// <summary>Rows and classes; refuses labels outside of them, which would read other memory.</summary>
    internal static (long Rows, long Classes) Check(string name, in KernelContext context, in InputTensor<float> logits, in InputTensor<long> labels)
    {
        if (logits.Shape.Length != 2)
            throw new OperandException($"{name}: 'logits' has rank {logits.Shape.Length}, expected 2.");
        (long rows, long classes) = (logits.Shape[0], logits.Shape[1]);
        context.Expect(labels, (nint)rows);
        for (nint n = 0; n < rows; n++)
        {
            if ((ulong)labels.Data[n] >= (ulong)classes)
                throw new OperandException($"{name}: label {labels.Data[n]} of row {n} is outside of the {classes} classes.");
        }
        return (rows, classes);
    }
}

/// <summary>The gradient of <see cref="CrossEntropyRowsOperator"/>: logits, labels, logarithms of the sums, dy [N] → [N, C].</summary>
internal sealed unsafe class CrossEntropyRowsGradOperator() : CpuOperator(
    "CrossEntropyRowsGrad",
    [new("logits", OperandType.Float), new("labels", OperandType.Int64), new("log_sums", OperandType.Float), new("dy", OperandType.Float)],
    [new("gradient", OperandType.Float)])
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> logits = context.Next<float>();
        InputTensor<long> labels = context.Next<long>();
        (long rows, long classes) = CrossEntropyRowsOperator.Check(Name, context, logits, labels);
        InputTensor<float> logSums = context.Next<float>();
        context.Expect(logSums, (nint)rows);
        InputTensor<float> dy = context.Next<float>();
        context.Expect(dy, (nint)rows);
        CrossEntropyKernel.Backward(logits.Data, labels.Data, logSums.Data, dy.Data, context.Output(0, logits.Shape), (nint)rows, (nint)classes, context.Threads);
    }
}
