using OrtCpr.Cuda;
using OrtCpr.Kernels;

namespace OrtCpr.Tests.Cuda;

/// <summary>What cuDNN computes, by sums in double.</summary>
internal sealed unsafe class HostConvolution : ConvolutionLibrary
{
    public override long WorkspaceOf(in ConvShape shape, bool ofWeight) => 100;

    public override void WeightGradient(in ConvShape s, long x, long dy, long gradient, nint workspace, nint context)
    {
        double[] sums = new double[s.Outputs * s.Channels * s.KernelHeight * s.KernelWidth];
        foreach ((nint image, nint weight, nint result) in Products(s)) sums[weight] += (double)((float*)x)[image] * ((float*)dy)[result];
        for (int i = 0; i < sums.Length; i++) ((float*)gradient)[i] = (float)sums[i];
    }

    public override void InputGradient(in ConvShape s, long weight, long dy, long gradient, nint workspace, nint context)
    {
        double[] sums = new double[s.BatchSize * s.Channels * s.Height * s.Width];
        foreach ((nint image, nint at, nint result) in Products(s)) sums[image] += (double)((float*)weight)[at] * ((float*)dy)[result];
        for (int i = 0; i < sums.Length; i++) ((float*)gradient)[i] = (float)sums[i];
    }

    // Which elements of x, weight and y belong to one product of the convolution.
    private static IEnumerable<(nint Image, nint Weight, nint Result)> Products(ConvShape s)
    {
        for (nint result = 0; result < s.BatchSize * s.Outputs * s.OutputHeight * s.OutputWidth; result++)
        {
            nint column = result % s.OutputWidth, row = result / s.OutputWidth % s.OutputHeight,
                output = result / (s.OutputWidth * s.OutputHeight) % s.Outputs, n = result / (s.OutputWidth * s.OutputHeight * s.Outputs);
            for (nint tap = 0; tap < s.Channels * s.KernelHeight * s.KernelWidth; tap++)
            {
                nint j = tap % s.KernelWidth, i = tap / s.KernelWidth % s.KernelHeight, c = tap / (s.KernelWidth * s.KernelHeight);
                nint h = (row * s.StrideHeight) + (i * s.DilationHeight) - s.PadTop;
                nint w = (column * s.StrideWidth) + (j * s.DilationWidth) - s.PadLeft;
                if (h < 0 || h >= s.Height || w < 0 || w >= s.Width) continue;
                yield return ((((((n * s.Channels) + c) * s.Height) + h) * s.Width) + w,
                    (output * s.Channels * s.KernelHeight * s.KernelWidth) + tap, result);
            }
        }
    }
}
