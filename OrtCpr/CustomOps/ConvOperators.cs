using OrtCpr.Graph.Operators;
using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>The gradient with respect to the weight: x [N, C, H, W], weight [M, C, kh, kw], of which only the shape
/// counts, dy [N, M, OH, OW] → [M, C, kh, kw].</summary>
internal sealed unsafe class ConvWeightGradOperator(OperatorDefinition definition) : ConvOperator(definition, ProductForm.FirstTransposed)
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> x = context.In<float>("x"), weight = context.In<float>("weight"), dy = context.In<float>("dy");
        ConvShape shape = Check(context.State, x.Shape, weight.Shape, dy.Shape);
        Run(context, shape, x.Data, context.Out("gradient", weight.Shape), null, dy.Data);
    }

    /// <inheritdoc/>
    protected override nint CreateDirect(nint info, long[] strides, long[] dilations, long[] pads) =>
        BuiltInProduct.Create(info, ProductForm.SecondTransposed);

    /// <inheritdoc/>
    protected override nint ScratchLength(in ConvShape shape, bool tiled) =>
        tiled ? WinogradWeightGrad.ScratchLength(WinogradShape.Of(shape)) : ConvWeightGradKernel.ScratchLength(shape);

    /// <inheritdoc/>
    protected override void RunDirect(in ConvShape shape, in Tensors tensors, float* scratch, ParallelLoop loop)
    {
        BuiltInProduct.Call call = tensors.Call with { Form = ProductForm.SecondTransposed };
        ConvWeightGradKernel.Run(shape, tensors.X, tensors.Y, tensors.Weight, scratch, loop, new MatrixProduct(&BuiltInProduct.Run, &call));
    }

    /// <inheritdoc/>
    protected override void RunTiled(in ConvShape shape, in Tensors tensors, float* scratch, ParallelLoop loop, MatrixProduct product) =>
        WinogradWeightGrad.Run(WinogradShape.Of(shape), tensors.X, tensors.Y, tensors.Weight, scratch, loop, product);
}

/// <summary>The gradient with respect to the input: dy [N, M, OH, OW], weight [M, C, kh, kw], the input's shape [4] →
/// [N, C, H, W].</summary>
internal sealed unsafe class ConvInputGradOperator(OperatorDefinition definition) : ConvOperator(definition, ProductForm.Plain)
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> dy = context.In<float>("dy"), weight = context.In<float>("weight");
        InputTensor<long> sizes = context.In<long>("shape");
        context.Expect(sizes, 4);
        ReadOnlySpan<long> x = new(sizes.Data, 4);
        ConvShape shape = Check(context.State, x, weight.Shape, dy.Shape);
        Run(context, shape, context.Out("gradient", x), weight.Data, null, dy.Data);
    }

    /// <inheritdoc/>
    protected override nint CreateDirect(nint info, long[] strides, long[] dilations, long[] pads) =>
        BuiltInProduct.Create(info, ProductForm.FirstTransposed);

    /// <inheritdoc/>
    protected override nint ScratchLength(in ConvShape shape, bool tiled) =>
        tiled ? WinogradConv.ScratchLength(WinogradShape.OfInputGradient(shape)) : ConvInputGradKernel.ScratchLength(shape);

    /// <inheritdoc/>
    protected override void RunDirect(in ConvShape shape, in Tensors tensors, float* scratch, ParallelLoop loop)
    {
        BuiltInProduct.Call call = tensors.Call with { Form = ProductForm.FirstTransposed };
        ConvInputGradKernel.Run(shape, tensors.Y, tensors.Weight, tensors.X, scratch, loop, new MatrixProduct(&BuiltInProduct.Run, &call));
    }

    /// <inheritdoc/>
    protected override void RunTiled(in ConvShape shape, in Tensors tensors, float* scratch, ParallelLoop loop, MatrixProduct product) =>
        WinogradConv.Run(WinogradShape.OfInputGradient(shape), tensors.Y, tensors.Weight, true, null, tensors.X, scratch, loop, product);
}

/// <summary>The convolution itself: x [N, C, H, W], weight [M, C, kh, kw], bias [M] where there is one → [N, M, OH,
/// OW]. Not by tiles it is ORT's own Conv.</summary>
internal sealed unsafe class ConvForwardOperator(OperatorDefinition definition, bool hasBias) : ConvOperator(definition,
    ProductForm.SecondTransposed)
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> x = context.In<float>("x"), weight = context.In<float>("weight");
        float* bias = null;
        long* y = stackalloc long[4];
        if (!OutputShape(context.State, x.Shape, weight.Shape, new(y, 4)))
        {
            throw new OperandException(
                $"{Name}: shapes x [{string.Join(',', x.Shape.ToArray())}] and weight [{string.Join(',', weight.Shape.ToArray())}] do not "
                + "belong to one convolution.");
        }
        if (hasBias)
            bias = context.Like("bias", (nint)y[1]);
        Run(context, Shape(context.State, x.Shape, weight.Shape, new(y, 4)), x.Data, weight.Data, bias, context.Out("y", new(y, 4)));
    }

    /// <inheritdoc/>
    protected override nint CreateDirect(nint info, long[] strides, long[] dilations, long[] pads) =>
        BuiltInOperator.Create(info, "", "Conv", 11, hasBias ? 3 : 2,
    [
        new("auto_pad", "NOTSET"), new("group", 1L), new("strides", strides), new("dilations", dilations), new("pads", pads),
    ]);

    /// <inheritdoc/>
    protected override nint ScratchLength(in ConvShape shape, bool tiled) =>
        tiled ? WinogradConv.ScratchLength(WinogradShape.Of(shape)) : 0;

    /// <inheritdoc/>
    protected override void RunDirect(in ConvShape shape, in Tensors tensors, float* scratch, ParallelLoop loop)
    {
        nint* inputs = stackalloc nint[3];
        nint output = 0;
        inputs[0] = inputs[1] = inputs[2] = 0;
        try
        {
            inputs[0] = OrtNative.Wrap(tensors.X, [shape.BatchSize, shape.Channels, shape.Height, shape.Width]);
            inputs[1] = OrtNative.Wrap(tensors.Weight, [shape.Outputs, shape.Channels, shape.KernelHeight, shape.KernelWidth]);
            if (hasBias)
                inputs[2] = OrtNative.Wrap(tensors.Bias, [shape.Outputs]);
            output = OrtNative.Wrap(tensors.Y, [shape.BatchSize, shape.Outputs, shape.OutputHeight, shape.OutputWidth]);
            BuiltInOperator.Invoke(tensors.Call.Context, tensors.Call.Product, inputs, hasBias ? 3 : 2, output);
        }
        finally
        {
            OrtNative.ReleaseValue(inputs[0]);
            OrtNative.ReleaseValue(inputs[1]);
            OrtNative.ReleaseValue(inputs[2]);
            OrtNative.ReleaseValue(output);
        }
    }

    /// <inheritdoc/>
    protected override void RunTiled(in ConvShape shape, in Tensors tensors, float* scratch, ParallelLoop loop, MatrixProduct product) =>
        WinogradConv.Run(WinogradShape.Of(shape), tensors.X, tensors.Weight, false, tensors.Bias, tensors.Y, scratch, loop, product);
}
