using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>With respect to the weight: x [N, C, H, W], weight [M, C, kh, kw], of which only the shape counts, dy [N, M, OH, OW] → [M, C, kh, kw].</summary>
internal sealed unsafe class ConvWeightGradOperator() : ConvGradOperator(
    "ConvWeightGrad", ProductForm.SecondTransposed, [new("x", OperandType.Float), new("weight", OperandType.Float), new("dy", OperandType.Float)])
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> x = context.Next<float>(), weight = context.Next<float>(), dy = context.Next<float>();
        ConvShape shape = Check(context.State, x.Shape, weight.Shape, dy.Shape);
        Run(context, shape, ConvWeightGradKernel.ScratchLength(shape), x.Data, dy.Data, context.Output(0, weight.Shape));
    }

    /// <inheritdoc/>
    protected override void Run(in ConvShape shape, float* first, float* second, float* result, float* scratch, ParallelLoop loop, MatrixProduct product) =>
        ConvWeightGradKernel.Run(shape, first, second, result, scratch, loop, product);
}

/// <summary>With respect to the input: dy [N, M, OH, OW], weight [M, C, kh, kw], the input's shape [4] → [N, C, H, W].</summary>
internal sealed unsafe class ConvInputGradOperator() : ConvGradOperator(
    "ConvInputGrad", ProductForm.FirstTransposed, [new("dy", OperandType.Float), new("weight", OperandType.Float), new("shape", OperandType.Int64)])
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> dy = context.Next<float>(), weight = context.Next<float>();
        InputTensor<long> sizes = context.Next<long>();
        context.Expect(sizes, 4);
        ReadOnlySpan<long> x = new(sizes.Data, 4);
        ConvShape shape = Check(context.State, x, weight.Shape, dy.Shape);
        Run(context, shape, ConvInputGradKernel.ScratchLength(shape), dy.Data, weight.Data, context.Output(0, x));
    }

    /// <inheritdoc/>
    protected override void Run(in ConvShape shape, float* first, float* second, float* result, float* scratch, ParallelLoop loop, MatrixProduct product) =>
        ConvInputGradKernel.Run(shape, first, second, result, scratch, loop, product);
}
