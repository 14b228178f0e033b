using OrtCpr.Kernels;

namespace OrtCpr.Cuda;

/// <summary>Gradients of convolutions of two spatial axes and one group, by a library for the memory that the addresses lie
/// in: cuDNN on a GPU. Padding is the same on both sides.</summary>
internal abstract class ConvolutionLibrary
{
    /// <summary>Bytes of working memory for a gradient; found once for each shape.</summary>
    public abstract long WorkspaceOf(in ConvShape shape, bool ofWeight);

    /// <summary>dW from x and dy.</summary>
    /// <param name="shape">Sizes and geometry.</param>
    /// <param name="x">[N, C, H, W].</param>
    /// <param name="dy">[N, M, OH, OW].</param>
    /// <param name="gradient">[M, C, kh, kw].</param>
    /// <param name="workspace">As many bytes as <see cref="WorkspaceOf"/> says.</param>
    /// <param name="context">OrtKernelContext of the running node.</param>
    public abstract void WeightGradient(in ConvShape shape, long x, long dy, long gradient, nint workspace, nint context);

    /// <summary>dx from the weight and dy; see <see cref="WeightGradient"/>.</summary>
    public abstract void InputGradient(in ConvShape shape, long weight, long dy, long gradient, nint workspace, nint context);
}
