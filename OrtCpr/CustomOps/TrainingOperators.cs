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
