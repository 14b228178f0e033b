using System.Collections.Concurrent;
using OrtCpr.CustomOps;
using OrtCpr.Graph.Operators;
using OrtCpr.Kernels;

namespace OrtCpr.Cuda;

/// <summary>A gradient of a convolution by a library. What that cannot do is done here: unequal padding by a padded copy of
/// the images.</summary>
internal abstract unsafe class CudaConvOperator(OperatorDefinition definition, KernelLauncher launcher, ConvolutionLibrary library)
    : DeviceOperator(definition, launcher)
{
    private const int Alignment = 256;

    private readonly ConcurrentDictionary<nint, ConvGeometry> _geometry = new();

    /// <summary>The library.</summary>
    protected ConvolutionLibrary Library { get; } = library;

    /// <inheritdoc/>
    public override nint CreateState(nint info)
    {
        ConvGeometry geometry = new()
        {
            Strides = OrtNative.GetIntegers(info, "strides\0"u8, 2),
            Dilations = OrtNative.GetIntegers(info, "dilations\0"u8, 2),
            Pads = OrtNative.GetIntegers(info, "pads\0"u8, 4),
        };
        nint state = base.CreateState(info);
        _geometry[state] = geometry;
        return state;
    }

    /// <inheritdoc/>
    public override void DestroyState(nint state)
    {
        _geometry.TryRemove(state, out _);
        base.DestroyState(state);
    }

    /// <summary>Sizes that belong together.</summary>
    protected ConvShape ShapeOf(in KernelContext context, ReadOnlySpan<long> x, ReadOnlySpan<long> w, ReadOnlySpan<long> dy) =>
        _geometry[context.State].ShapeOf(x, w, dy) ?? throw new OperandException(
            $"{Name}: shapes x [{string.Join(',', x.ToArray())}], weight [{string.Join(',', w.ToArray())}] and dy "
            + $"[{string.Join(',', dy.ToArray())}] do not belong to one convolution.");

    /// <summary>The same with as much padding on either side, by images that are larger where they have to be.</summary>
    protected ConvShape Even(in KernelContext context, in ConvShape shape) => _geometry[context.State].Even(shape);

    /// <summary>Working memory of the library, and behind it the room for padded images.</summary>
    protected (nint Library, nint Images) Rooms(in KernelContext context, in ConvShape even, bool ofWeight, bool isCopied)
    {
        long own = Library.WorkspaceOf(even, ofWeight), aligned = (own + Alignment - 1) / Alignment * Alignment;
        nint room = Workspace(context, aligned + (isCopied ? Elements(even) * sizeof(float) : 0));
        return (room, room + (nint)aligned);
    }

    /// <summary>Images into larger or smaller ones.</summary>
    protected void Copy(in KernelContext context, in ConvShape from, long source, in ConvShape to, long target, long top, long left)
    {
        ImageOperands operands = new()
        {
            From = new() { Address = source, Count = Elements(from) },
            To = new() { Address = target, Count = Elements(to) },
            Height = from.Height,
            Width = from.Width,
            NewHeight = to.Height,
            NewWidth = to.Width,
            Top = top,
            Left = left,
        };
        Launcher.Launch("CopyImages", BlocksOf(operands.To.Count), operands, context.Handle);
    }

    /// <summary>Fills with zeros: without images no window has been anywhere.</summary>
    protected void Clear(in KernelContext context, Operand tensor)
    {
        ImageOperands operands = new() { To = tensor, Height = 0, Width = 0, NewHeight = 1, NewWidth = 1 };
        Launcher.Launch("CopyImages", BlocksOf(tensor.Count), operands, context.Handle);
    }

    private static long Elements(in ConvShape s) => (long)s.BatchSize * s.Channels * s.Height * s.Width;
}

/// <summary>dW from x, the weight's shape and dy.</summary>
internal sealed class CudaConvWeightGradOperator(OperatorDefinition definition, KernelLauncher launcher, ConvolutionLibrary library)
    : CudaConvOperator(definition, launcher, library)
{
    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> x = context.In<float>("x"), weight = context.In<float>("weight"), dy = context.In<float>("dy");
        ConvShape shape = ShapeOf(context, x.Shape, weight.Shape, dy.Shape), even = Even(context, shape);
        Operand gradient = Out(context, "gradient", weight.Shape), images = Of(x);
        if (gradient.Count == 0)
            return;
        if (x.Length == 0 || dy.Length == 0)
        {
            Clear(context, gradient);
            return;
        }
        bool isCopied = even != shape;
        (nint room, nint padded) = Rooms(context, even, ofWeight: true, isCopied);
        if (isCopied)
        {
            Copy(context, shape, images.Address, even, padded, even.PadTop - shape.PadTop, even.PadLeft - shape.PadLeft);
            images.Address = padded;
        }
        Library.WeightGradient(even, images.Address, Of(dy).Address, gradient.Address, room, context.Handle);
    }
}

/// <summary>dx from dy, the weight and the shape of x, which lies on the host.</summary>
internal sealed unsafe class CudaConvInputGradOperator(OperatorDefinition definition, KernelLauncher launcher, ConvolutionLibrary library)
    : CudaConvOperator(definition, launcher, library)
{
    /// <inheritdoc/>
    public override bool IsOnHost(OperatorSlot input) => input.Name == "shape";

    /// <inheritdoc/>
    public override void Compute(KernelContext context)
    {
        InputTensor<float> dy = context.In<float>("dy"), weight = context.In<float>("weight");
        InputTensor<long> sizes = context.In<long>("shape");
        context.Expect(sizes, 4);
        ReadOnlySpan<long> x = new(sizes.Data, 4);
        ConvShape shape = ShapeOf(context, x, weight.Shape, dy.Shape), even = Even(context, shape);
        Operand gradient = Out(context, "gradient", x);
        if (gradient.Count == 0)
            return;
        if (dy.Length == 0 || weight.Length == 0)
        {
            Clear(context, gradient);
            return;
        }
        bool isCopied = even != shape;
        (nint room, nint padded) = Rooms(context, even, ofWeight: false, isCopied);
        Library.InputGradient(even, Of(weight).Address, Of(dy).Address, isCopied ? padded : gradient.Address, room, context.Handle);
        if (isCopied)
            Copy(context, even, padded, shape, gradient.Address, shape.PadTop - even.PadTop, shape.PadLeft - even.PadLeft);
    }
}
