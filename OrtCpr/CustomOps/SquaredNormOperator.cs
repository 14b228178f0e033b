using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>
/// Σx² of a tensor of any shape, as a tensor of one element; block sums go on in double and are rounded once. NaN and
/// infinities in the input reach the output, so one number tells a non-finite gradient.
/// </summary>
internal sealed unsafe class SquaredNormOperator() : CpuOperator(
    "SquaredNorm",
    [new("gradient", OperandType.Float)],
    [new("squared_norm", OperandType.Float)])
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> gradient = context.Next<float>();
        RegularizerSum sum = Measurement.Of(Regularizer.ByName["l2"], gradient.Data, gradient.Length, context.Threads);
        *context.Output(0, [1]) = (float)sum.Total;
    }
}
