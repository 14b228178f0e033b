using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>Σx² of a tensor of any shape; block sums go on in double and are rounded once.</summary>
internal sealed unsafe class SquaredNormOperator(OperatorDefinition definition) : OperatorKernel(definition)
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> gradient = context.In<float>("gradient");
        RegularizerSum sum = Measurement.Of(RegularizerFormula.Of(Regularizer.L2), gradient.Data, gradient.Length, context.Threads);
        *context.Out("squared_norm", [1]) = (float)sum.Total;
    }
}

/// <summary>Σx² of tensors that lie in one buffer, with the same bits as <see cref="SquaredNormOperator"/> for each.</summary>
internal sealed unsafe class SquaredNormsOperator(OperatorDefinition definition) : OperatorKernel(definition)
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> x = context.In<float>("x");
        InputTensor<long> starts = context.In<long>("starts"), lengths = context.In<long>("lengths");
        context.Expect(lengths, starts.Length);
        for (nint i = 0; i < starts.Length; i++)
        {
            if (starts.Data[i] < 0 || lengths.Data[i] < 0 || starts.Data[i] > x.Length - lengths.Data[i])
            {
                throw new OperandException(
                    $"{Name}: tensor {i} is [{starts.Data[i]}, +{lengths.Data[i]}), outside of 'x', which has {x.Length} elements.");
            }
        }
        Measurement.OfEach(
            RegularizerFormula.Of(Regularizer.L2), x.Data, starts.Data, lengths.Data, starts.Length, context.Out(
                "squared_norms", [starts.Length]), context.Threads);
    }
}
