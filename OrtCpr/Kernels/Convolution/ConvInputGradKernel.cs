using System.Numerics.Tensors;

namespace OrtCpr.Kernels;

/// <summary>The gradient of a convolution with respect to its input, by matrix products and patches that are added
/// where they came from.</summary>
/// <remarks>Patches [C·kh·kw, positions] are Wᵀ [C·kh·kw, M] times dY [M, positions], in blocks of whole rows as for
/// the weight's gradient. A channel's patches are added into that channel of dx by one thread, kernel taps in order,
/// so the sum does not depend on the number of threads; a plane of dx stays in the processor's cache meanwhile. Bytes
/// moved: each patch element written and read once. A row of a patch is one addition of spans where the stride is 1.
/// Nothing may overlap.</remarks>
internal static unsafe class ConvInputGradKernel
{
    /// <summary>Floats of working memory that <see cref="Run"/> needs.</summary>
    public static nint ScratchLength(in ConvShape s) => s.BlockRows * s.OutputWidth * (s.PatchLength + s.Outputs);

    /// <summary>Writes dx [N, C, H, W].</summary>
    /// <param name="s">Sizes.</param>
    /// <param name="dy">[N, M, OH, OW].</param>
    /// <param name="weight">[M, C, kh, kw].</param>
    /// <param name="dx">The result.</param>
    /// <param name="scratch"><see cref="ScratchLength"/> floats.</param>
    /// <param name="loop">The session's threads.</param>
    /// <param name="product">Of the form <see cref="ProductForm.FirstTransposed"/>.</param>
    public static void Run(in ConvShape s, float* dy, float* weight, float* dx, float* scratch, ParallelLoop loop, MatrixProduct product)
    {
        Work all = new() { Shape = s, Dx = dx };
        loop.Run(&Clear, &all, s.BatchSize * s.Channels);
        nint rows = s.Rows, blockRows = s.BlockRows;
        if (rows * s.OutputWidth * s.PatchLength == 0)
            return;
        float* patches = scratch, gathered = patches + (blockRows * s.OutputWidth * s.PatchLength);
        for (nint first = 0; first < rows; first += blockRows)
        {
            Work work = new() { Shape = s, Dx = dx, Patches = patches, First = first, Count = nint.Min(blockRows, rows - first) };
            float* gradients = ConvRows.Of(s, dy, first, work.Count, gathered, loop);
            product.Run(weight, gradients, patches, s.PatchLength, work.Count * s.OutputWidth, s.Outputs);
            loop.Run(&AddChannel, &work, s.Channels);
        }
    }

    private static void Clear(void* state, nint plane)
    {
        Work* work = (Work*)state;
        nint size = work->Shape.Height * work->Shape.Width;
        new Span<float>(work->Dx + (plane * size), checked((int)size)).Clear();
    }

    private static void AddChannel(void* state, nint channel)
    {
        Work* work = (Work*)state;
        ref readonly ConvShape s = ref work->Shape;
        nint taps = s.KernelHeight * s.KernelWidth, columns = work->Count * s.OutputWidth;
        nint stride = s.StrideWidth, end = work->First + work->Count;
        // Image by image, so that its plane is in the cache for all taps of the kernel.
        for (nint start = work->First; start < end; start += s.OutputHeight - (start % s.OutputHeight))
        {
            nint stop = nint.Min(end, start + s.OutputHeight - (start % s.OutputHeight));
            float* plane = work->Dx + (((start / s.OutputHeight * s.Channels) + channel) * s.Height * s.Width);
            for (nint tap = 0; tap < taps; tap++)
            {
                nint left = s.LeftOf(tap % s.KernelWidth);
                (nint low, nint high) = s.InsideOf(left);
                float* from = work->Patches + (((channel * taps) + tap) * columns) + ((start - work->First) * s.OutputWidth);
                for (nint r = start; r < stop; r++, from += s.OutputWidth)
                {
                    nint line = s.LineOf(r, tap / s.KernelWidth);
                    if ((nuint)line >= (nuint)s.Height)
                        continue;
                    float* to = plane + (line * s.Width) + left;
                    if (stride == 1)
                    {
                        Span<float> sum = new(to + low, (int)(high - low));
                        TensorPrimitives.Add(sum, new ReadOnlySpan<float>(from + low, sum.Length), sum);
                        continue;
                    }
                    for (nint p = low; p < high; p++) to[p * stride] += from[p];
                }
            }
        }
    }

    private struct Work
    {
        public ConvShape Shape;
        public float* Dx;
        public float* Patches;
        public nint First;
        public nint Count;
    }
}
