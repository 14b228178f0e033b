using ILGPU;
using OrtCpr.Cuda;

namespace OrtCpr.CudaKernels;

/// <summary>Images into larger or smaller ones.</summary>
internal static unsafe class ImageKernels
{
    /// <summary>new[p, r, c] = old[p, r + top, c + left], 0 outside; 8 bytes an element.</summary>
    public static void CopyImages(ImageOperands o)
    {
        long step = Grid.DimX * (long)Group.DimX;
        for (long i = (Grid.IdxX * (long)Group.DimX) + Group.IdxX; i < o.To.Count; i += step)
        {
            long line = DeviceMath.Divide(i, o.NewWidth), plane = DeviceMath.Divide(line, o.NewHeight);
            long row = line - (plane * o.NewHeight) + o.Top, column = i - (line * o.NewWidth) + o.Left;
            bool isInside = row >= 0 && row < o.Height && column >= 0 && column < o.Width;
            ((float*)o.To.Address)[i] = isInside ? ((float*)o.From.Address)[(((plane * o.Height) + row) * o.Width) + column] : 0;
        }
    }
}
