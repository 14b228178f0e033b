using System.Runtime.InteropServices;
using OrtCpr.Graph.Operators;
using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>A convolution of two spatial axes and one group, or a gradient of one. Attributes: strides, dilations, pads
/// as in Conv.</summary>
/// <remarks>Where tiles pay (<see cref="WinogradShape.Pays"/>) it goes by them, elsewhere by <see cref="RunDirect"/>.</remarks>
internal abstract unsafe class ConvOperator(OperatorDefinition definition, ProductForm tiled) : OperatorKernel(definition)
{
    private const int Spatial = 2;

    private struct Settings
    {
        public nint Direct;
        public nint Tiled;
        public fixed long Strides[Spatial];
        public fixed long Dilations[Spatial];
        public fixed long Pads[2 * Spatial];
    }

    /// <inheritdoc/>
    public override nint CreateState(nint info)
    {
        long[] strides = OrtNative.GetIntegers(info, "strides\0"u8, Spatial);
        long[] dilations = OrtNative.GetIntegers(info, "dilations\0"u8, Spatial);
        long[] pads = OrtNative.GetIntegers(info, "pads\0"u8, 2 * Spatial);
        Settings* made = (Settings*)NativeMemory.AllocZeroed((nuint)sizeof(Settings));
        strides.CopyTo(new Span<long>(made->Strides, Spatial));
        dilations.CopyTo(new Span<long>(made->Dilations, Spatial));
        pads.CopyTo(new Span<long>(made->Pads, 2 * Spatial));
        try
        {
            made->Direct = CreateDirect(info, strides, dilations, pads);
            made->Tiled = BuiltInProduct.Create(info, tiled);
        }
        catch
        {
            DestroyState((nint)made);
            throw;
        }
        return (nint)made;
    }

    /// <inheritdoc/>
    public override void DestroyState(nint state)
    {
        BuiltInOperator.Release(((Settings*)state)->Direct);
        BuiltInOperator.Release(((Settings*)state)->Tiled);
        NativeMemory.Free((void*)state);
    }

    /// <summary>The operator of ORT's that <see cref="RunDirect"/> calls.</summary>
    protected abstract nint CreateDirect(nint info, long[] strides, long[] dilations, long[] pads);

    /// <summary>The tensors of one run. Those of a gradient are named as in the forward convolution.</summary>
    protected readonly struct Tensors
    {
        public float* X { get; init; }

        public float* Weight { get; init; }

        /// <summary>Null for none.</summary>
        public float* Bias { get; init; }

        public float* Y { get; init; }

        /// <summary>An operator of ORT's for this path, with the context that it runs in.</summary>
        public BuiltInProduct.Call Call { get; init; }
    }

    /// <summary>Floats of working memory, of <see cref="RunDirect"/> or <see cref="RunTiled"/>.</summary>
    protected abstract nint ScratchLength(in ConvShape shape, bool tiled);

    /// <summary>For any geometry.</summary>
    protected abstract void RunDirect(in ConvShape shape, in Tensors tensors, float* scratch, ParallelLoop loop);

    /// <summary>By tiles.</summary>
    protected abstract void RunTiled(in ConvShape shape, in Tensors tensors, float* scratch, ParallelLoop loop, MatrixProduct product);

    /// <summary>Runs the kernel on checked operands, with working memory of the session's arena.</summary>
    protected void Run(in KernelContext context, in ConvShape shape, float* x, float* weight, float* bias, float* y)
    {
        Settings* settings = (Settings*)context.State;
        bool isTiled = WinogradShape.Pays(shape);
        BuiltInProduct.Call call = new() { Product = isTiled ? settings->Tiled : settings->Direct, Context = context.Handle, Form = tiled };
        Tensors tensors = new() { X = x, Weight = weight, Bias = bias, Y = y, Call = call };
        nint length = ScratchLength(shape, isTiled), allocator = OrtNative.GetAllocator(context.Handle);
        void* scratch = null;
        try
        {
            if (length > 0)
                scratch = OrtNative.Allocate(allocator, (nuint)(length * sizeof(float)));
            if (isTiled)
                RunTiled(shape, tensors, (float*)scratch, context.Threads, new MatrixProduct(&BuiltInProduct.Run, &call));
            else
                RunDirect(shape, tensors, (float*)scratch, context.Threads);
        }
        finally
        {
            if (scratch != null)
                OrtNative.Free(allocator, scratch);
            OrtNative.ReleaseAllocator(allocator);
        }
    }

    /// <summary>Sizes that belong together, so that no element outside of a tensor is read.</summary>
    protected ConvShape Check(nint state, ReadOnlySpan<long> x, ReadOnlySpan<long> w, ReadOnlySpan<long> dy)
    {
        long* y = stackalloc long[2 + Spatial];
        if (!OutputShape(state, x, w, new(y, 2 + Spatial)) || !dy.SequenceEqual(new(y, 2 + Spatial)))
        {
            throw new OperandException(
                $"{Name}: shapes x [{string.Join(',', x.ToArray())}], weight [{string.Join(',', w.ToArray())}] and dy "
                + $"[{string.Join(',', dy.ToArray())}] do not belong to one convolution.");
        }
        return Shape(state, x, w, dy);
    }

    /// <summary>Writes the shape of the result.</summary>
    /// <returns>Whether the operands belong together.</returns>
    protected static bool OutputShape(nint state, ReadOnlySpan<long> x, ReadOnlySpan<long> w, Span<long> y)
    {
        Settings* s = (Settings*)state;
        if (x.Length != 2 + Spatial || w.Length != 2 + Spatial || x[1] != w[1])
            return false;
        (y[0], y[1]) = (x[0], w[0]);
        for (int i = 0; i < Spatial; i++)
        {
            long reach = ((w[2 + i] - 1) * s->Dilations[i]) + 1, rest = x[2 + i] + s->Pads[i] + s->Pads[Spatial + i] - reach;
            if (s->Strides[i] <= 0 || s->Dilations[i] <= 0 || rest < 0)
                return false;
            y[2 + i] = (rest / s->Strides[i]) + 1;
        }
        return true;
    }

    /// <summary>Checked sizes.</summary>
    protected static ConvShape Shape(nint state, ReadOnlySpan<long> x, ReadOnlySpan<long> w, ReadOnlySpan<long> y)
    {
        Settings* s = (Settings*)state;
        return ConvShape.Of(x, w, y, new(s->Strides, Spatial), new(s->Dilations, Spatial), new(s->Pads, 2 * Spatial));
    }
}
