using System.Numerics.Tensors;

namespace OrtCpr.Kernels;

/// <summary>The gradient of a convolution with respect to its weight, by patches and matrix products.</summary>
/// <remarks>dW [M, C·kh·kw] is dY [M, positions] times the patches of x [C·kh·kw, positions], summed over blocks of
/// whole rows of the result. A block's patches are about as many as the cache next to the processor holds, or as large
/// as dW where that is larger, so that dW is not read and written too often. Each element of x is read once for each
/// tap of the kernel, and each patch element written and read once: 8·kh·kw bytes an element of x, most of them in
/// the cache. A row of a patch is one copy where the stride is 1. Nothing may overlap. The order of the sum depends on
/// sizes only, not on threads.</remarks>
internal static unsafe class ConvWeightGradKernel
{
    private const nint AddedElements = 1 << 14;

    /// <summary>Floats of working memory that <see cref="Run"/> needs.</summary>
    public static nint ScratchLength(in ConvShape s)
    {
        nint columns = s.BlockRows * s.OutputWidth;
        return (columns * (s.PatchLength + s.Outputs)) + (s.Outputs * s.PatchLength);
    }

    /// <summary>Writes dW [M, C, kh, kw].</summary>
    /// <param name="s">Sizes.</param>
    /// <param name="x">[N, C, H, W].</param>
    /// <param name="dy">[N, M, OH, OW].</param>
    /// <param name="dw">The result.</param>
    /// <param name="scratch"><see cref="ScratchLength"/> floats.</param>
    /// <param name="loop">The session's threads.</param>
    /// <param name="product">Of the form <see cref="ProductForm.SecondTransposed"/>.</param>
    public static void Run(in ConvShape s, float* x, float* dy, float* dw, float* scratch, ParallelLoop loop, MatrixProduct product)
    {
        nint rows = s.Rows, blockRows = s.BlockRows, size = s.Outputs * s.PatchLength;
        if (rows * s.OutputWidth == 0)
        {
            new Span<float>(dw, checked((int)size)).Clear();
            return;
        }
        nint columns = blockRows * s.OutputWidth;
        float* patches = scratch, gathered = patches + (columns * s.PatchLength), part = gathered + (columns * s.Outputs);
        for (nint first = 0; first < rows; first += blockRows)
        {
            Work work = new()
            {
                Shape = s,
                X = x,
                Patches = patches,
                First = first,
                Count = nint.Min(blockRows, rows - first),
                Sum = dw,
                Part = part,
                Size = size
            };
            loop.Run(&FillPatch, &work, s.PatchLength);
            float* gradients = ConvRows.Of(s, dy, first, work.Count, gathered, loop);
            product.Run(gradients, patches, first == 0 ? dw : part, s.Outputs, s.PatchLength, work.Count * s.OutputWidth);
            if (first > 0)
                loop.Run(&AddPart, &work, (size + AddedElements - 1) / AddedElements);
        }
    }

    /// <summary>One row of the patches: what one tap of the kernel sees of one channel, at every position of the block.</summary>
    private static void FillPatch(void* state, nint q)
    {
        Work* work = (Work*)state;
        ref readonly ConvShape s = ref work->Shape;
        nint taps = s.KernelHeight * s.KernelWidth, channel = q / taps, i = q % taps / s.KernelWidth, j = q % s.KernelWidth;
        nint left = s.LeftOf(j), stride = s.StrideWidth;
        (nint low, nint high) = s.InsideOf(left);
        float* to = work->Patches + (q * work->Count * s.OutputWidth);
        for (nint r = work->First; r < work->First + work->Count; r++, to += s.OutputWidth)
        {
            nint line = s.LineOf(r, i);
            Span<float> row = new(to, (int)s.OutputWidth);
            if ((nuint)line >= (nuint)s.Height)
            {
                row.Clear();
                continue;
            }
            float* from = work->X + (((((r / s.OutputHeight * s.Channels) + channel) * s.Height) + line) * s.Width) + left;
            row[..(int)low].Clear();
            if (stride == 1)
                new ReadOnlySpan<float>(from + low, (int)(high - low)).CopyTo(row[(int)low..]);
            else
                for (nint p = low; p < high; p++) to[p] = from[p * stride];
            row[(int)high..].Clear();
        }
    }

    private static void AddPart(void* state, nint chunk)
    {
        Work* work = (Work*)state;
        nint start = chunk * AddedElements;
        int length = (int)nint.Min(AddedElements, work->Size - start);
        Span<float> sum = new(work->Sum + start, length);
        TensorPrimitives.Add(sum, new ReadOnlySpan<float>(work->Part + start, length), sum);
    }

    private struct Work
    {
        public ConvShape Shape;
        public float* X;
        public float* Patches;
        public float* Sum;
        public float* Part;
        public nint Size;
        public nint First;
        public nint Count;
    }
}
