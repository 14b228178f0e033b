using OrtCpr.CustomOps;
using OrtCpr.Graph.Operators;
using OrtCpr.Kernels;

namespace OrtCpr.Cuda;

/// <summary>What batch normalisation and its gradient have in common: how a channel is cut.</summary>
internal abstract unsafe class CudaChannelOperator(OperatorDefinition definition, KernelLauncher launcher)
    : DeviceOperator(definition, launcher)
{
    /// <summary>Elements of a part, and blocks that are enough for any GPU.</summary>
    private const long FewestElements = 4096, MostBlocks = 2048;

    /// <summary>Sizes, parts and room for their sums.</summary>
    protected ChannelOperands OperandsOf(in KernelContext context, in InputTensor<float> x)
    {
        BatchNormTensors sizes = BatchNormOperator.TensorsOf(Name, x);
        long elements = (long)sizes.BatchSize * sizes.Inner, most = Math.Max(1, MostBlocks / Math.Max(1, (long)sizes.Channels));
        int parts = (int)Math.Clamp((elements + FewestElements - 1) / FewestElements, 1, most);
        return new()
        {
            X = Of(x),
            Examples = sizes.BatchSize,
            Channels = sizes.Channels,
            Inner = sizes.Inner,
            Parts = parts,
            ElementsOfPart = (elements + parts - 1) / parts,
            Partials = Workspace(context, 2 * parts * (long)sizes.Channels * sizeof(PartialMeasure)),
        };
    }

    /// <summary>A checked input of one number a channel.</summary>
    protected static Operand Channel(in KernelContext context, string slot, in ChannelOperands operands)
    {
        context.Expect(context.In<float>(slot), (nint)operands.Channels);
        return Floats(context, slot);
    }
}

/// <summary>Batch normalisation by the batch's statistics, with a residual and a Relu where the operator has them: partial
/// statistics, statistics, then y; 12 bytes an element, 16 with a residual.</summary>
internal sealed class CudaBatchNormOperator(OperatorDefinition definition, KernelLauncher launcher, bool relu)
    : CudaChannelOperator(definition, launcher)
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> x = context.In<float>("x");
        ChannelOperands operands = OperandsOf(context, x);
        operands.Gain = Channel(context, "gain", operands);
        operands.Bias = Channel(context, "bias", operands);
        operands.Skip = Optional<float>(context, "skip");
        operands.Relu = relu ? 1 : 0;
        operands.Epsilon = Number(context);
        operands.Result = Out(context, "y", x.Shape);
        operands.Mean = Out(context, "mean", [operands.Channels]);
        operands.Variance = Out(context, "variance", [operands.Channels]);
        operands.Inverse = Out(context, "inverse", [operands.Channels]);
        Launcher.Launch("MeasureChannels", (nint)(operands.Channels * operands.Parts), operands, context.Handle);
        Launcher.Launch("ChannelStatistics", (nint)operands.Channels, operands, context.Handle);
        Launcher.Launch("NormalizeChannels", BlocksOf(x.Length), operands, context.Handle);
    }
}

/// <summary>The gradient of batch normalisation, through a Relu where the operator has its result: sums of dy and dy·x̂ of
/// parts, of channels, then dx; 20 bytes an element, 28 with a Relu.</summary>
internal sealed class CudaBatchNormGradOperator(OperatorDefinition definition, KernelLauncher launcher)
    : CudaChannelOperator(definition, launcher)
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> x = context.In<float>("x");
        ChannelOperands operands = OperandsOf(context, x);
        operands.Gain = Channel(context, "gain", operands);
        operands.Mean = Channel(context, "mean", operands);
        operands.Inverse = Channel(context, "inverse", operands);
        operands.Y = Optional<float>(context, "y");
        operands.Dy = Floats(context, "dy");
        context.Expect(context.In<float>("dy"), x.Length);
        operands.Result = Out(context, "dx", x.Shape);
        operands.GainGradient = Out(context, "dgain", [operands.Channels]);
        operands.BiasGradient = Out(context, "dbias", [operands.Channels]);
        Launcher.Launch("SumChannelGradients", (nint)(operands.Channels * operands.Parts), operands, context.Handle);
        Launcher.Launch("ChannelGradients", (nint)operands.Channels, operands, context.Handle);
        Launcher.Launch("ChannelInputGradient", BlocksOf(x.Length), operands, context.Handle);
    }
}
