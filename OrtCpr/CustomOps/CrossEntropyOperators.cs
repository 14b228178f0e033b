using OrtCpr.Graph.Operators;
using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>
/// What the operators of a cross-entropy have in common: checked rows, and the share of the target that is spread over the classes,
/// attribute smoothing, where the operator has it.</summary>
internal abstract unsafe class CrossEntropyOperator(OperatorDefinition definition) : FloatAttributeOperator(definition, "smoothing")
{
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

/// <summary>Cross-entropy of rows: losses and logarithms of the sums.</summary>
internal sealed unsafe class CrossEntropyRowsOperator(OperatorDefinition definition) : CrossEntropyOperator(definition)
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> logits = context.In<float>("logits");
        InputTensor<long> labels = context.In<long>("labels");
        (long rows, long classes) = Check(context, logits, labels);
        float* losses = context.Out("losses", [rows]), sums = context.Out("log_sums", [rows]);
        CrossEntropyKernel.Forward(
            logits.Data, labels.Data, Attribute(context), losses, sums, (nint)rows, (nint)classes, context.Threads);
    }
}

/// <summary>The gradient of <see cref="CrossEntropyRowsOperator"/>.</summary>
internal sealed unsafe class CrossEntropyRowsGradOperator(OperatorDefinition definition) : CrossEntropyOperator(definition)
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> logits = context.In<float>("logits");
        InputTensor<long> labels = context.In<long>("labels");
        (long rows, long classes) = Check(context, logits, labels);
        float* sums = context.Like("log_sums", (nint)rows), dy = context.Like("dy", (nint)rows);
        float* gradient = context.Out("gradient", logits.Shape);
        CrossEntropyKernel.Backward(
            logits.Data, labels.Data, Attribute(context), sums, dy, gradient, (nint)rows, (nint)classes, context.Threads);
    }
}
