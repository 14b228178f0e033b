using System.Runtime.InteropServices;
using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>A gradient of a convolution of two spatial axes and one group. Attributes: strides, dilations, pads as in Conv.</summary>
internal abstract unsafe class ConvGradOperator(string name, ProductForm form, IReadOnlyList<Operand> inputs) : CpuOperator(name, inputs, [new("gradient", OperandType.Float)])
{
    private const int Spatial = 2;

    private struct Settings
    {
        public nint Product;
        public fixed long Strides[Spatial];
        public fixed long Dilations[Spatial];
        public fixed long Pads[2 * Spatial];
    }

    /// <inheritdoc/>
    public override nint CreateState(nint info)
    {
        long[] strides = OrtNative.GetIntegers(info, "strides\0"u8, Spatial), dilations = OrtNative.GetIntegers(info, "dilations\0"u8, Spatial), pads = OrtNative.GetIntegers(info, "pads\0"u8, 2 * Spatial);
        Settings* made = (Settings*)NativeMemory.AllocZeroed((nuint)sizeof(Settings));
        strides.CopyTo(new Span<long>(made->Strides, Spatial));
        dilations.CopyTo(new Span<long>(made->Dilations, Spatial));
        pads.CopyTo(new Span<long>(made->Pads, 2 * Spatial));
        try
        {
            made->Product = BuiltInProduct.Create(info, form);
        }
        catch
        {
            NativeMemory.Free(made);
            throw;
        }
        return (nint)made;
    }

    /// <inheritdoc/>
    public override void DestroyState(nint state)
    {
        BuiltInProduct.Release(((Settings*)state)->Product);
        NativeMemory.Free((void*)state);
    }

    /// <summary>Runs the kernel with working memory of the session's arena.</summary>
    protected void Run(in KernelContext context, in ConvShape shape, nint scratchLength, float* first, float* second, float* result)
    {
        nint allocator = OrtNative.GetAllocator(context.Handle);
        void* scratch = null;
        try
        {
            scratch = OrtNative.Allocate(allocator, (nuint)(scratchLength * sizeof(float)));
            BuiltInProduct.Call call = new() { Product = ((Settings*)context.State)->Product, Context = context.Handle, Form = form };
            Run(shape, first, second, result, (float*)scratch, context.Threads, new MatrixProduct(&BuiltInProduct.Run, &call));
        }
        finally
        {
            if (scratch != null)
                OrtNative.Free(allocator, scratch);
            OrtNative.ReleaseAllocator(allocator);
        }
    }

    /// <summary>The kernel on checked operands.</summary>
    protected abstract void Run(in ConvShape shape, float* first, float* second, float* result, float* scratch, ParallelLoop loop, MatrixProduct product);

    /// <summary>Sizes that belong together, so that no element outside of a tensor is read.</summary>
    protected ConvShape Check(nint state, ReadOnlySpan<long> x, ReadOnlySpan<long> w, ReadOnlySpan<long> dy)
    {
        Settings* s = (Settings*)state;
        bool fits = x.Length == 4 && w.Length == 4 && dy.Length == 4 && x[1] == w[1] && x[0] == dy[0] && dy[1] == w[0];
        for (int i = 0; fits && i < Spatial; i++)
        {
            long reach = ((w[2 + i] - 1) * s->Dilations[i]) + 1, rest = x[2 + i] + s->Pads[i] + s->Pads[Spatial + i] - reach;
            fits = s->Strides[i] > 0 && s->Dilations[i] > 0 && rest >= 0 && dy[2 + i] == (rest / s->Strides[i]) + 1;
        }
        if (!fits)
            throw new OperandException($"{Name}: shapes x [{string.Join(',', x.ToArray())}], weight [{string.Join(',', w.ToArray())}] and dy [{string.Join(',', dy.ToArray())}] do not belong to one convolution.");
        return new()
        {
            Batch = (nint)x[0],
            Channels = (nint)x[1],
            Height = (nint)x[2],
            Width = (nint)x[3],
            Outputs = (nint)w[0],
            KernelHeight = (nint)w[2],
            KernelWidth = (nint)w[3],
            OutputHeight = (nint)dy[2],
            OutputWidth = (nint)dy[3],
            StrideHeight = (nint)s->Strides[0],
            StrideWidth = (nint)s->Strides[1],
            DilationHeight = (nint)s->Dilations[0],
            DilationWidth = (nint)s->Dilations[1],
            PadTop = (nint)s->Pads[0],
            PadLeft = (nint)s->Pads[1],
        };
    }
}
