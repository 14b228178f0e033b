using OrtCpr.Graph.Operators;
using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>A formula, element by element: the first input, or the first two of equal shape, to a tensor of that shape.</summary>
internal sealed unsafe class ElementOperator<TFormula>(OperatorDefinition definition) : OperatorKernel(definition)
    where TFormula : struct, IElementFormula
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> x = context.In<float>(Definition.Inputs[0].Name);
        float* second = TFormula.HasSecond ? context.Like(Definition.Inputs[1].Name, x.Length) : null;
        ElementKernel.Run<TFormula>(x.Data, second, context.Out(Definition.Outputs[0].Name, x.Shape), x.Length, context.Threads);
    }
}
