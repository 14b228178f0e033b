using OrtCpr.CustomOps;
using OrtCpr.Kernels;

namespace OrtCpr.Cuda;

/// <summary>Gradients of convolutions by cuDNN. Algorithms are chosen once a shape, by a trial of each: those that repeat bit for
/// bit before others. Where shapes come one after the other, a trial each would take longer than it saves, and the library's
/// heuristics choose. Owns handle and descriptors.</summary>
internal sealed class CudnnConvolution(Cudnn library) : ConvolutionLibrary, IDisposable
{
    /// <summary>Whether products may be rounded to TensorFloat-32; to be set before the first.</summary>
    public bool AllowsTensorFloat32 { get; set; }

    /// <summary>More working memory is not worth the speed.</summary>
    private const long MostBytes = 1L << 30;

    /// <summary>Shapes that are tried: more than the gradients of a deep network at one batch size.</summary>
    private const int MostTrials = 400;

    private readonly Dictionary<(ConvShape, bool), Plan> _plans = [];
    private readonly Lock _lock = new();
    private nint _handle;

    /// <inheritdoc/>
    public override long WorkspaceOf(in ConvShape shape, bool ofWeight) => PlanOf(shape, ofWeight).Bytes;

    /// <inheritdoc/>
    public override void WeightGradient(in ConvShape shape, long x, long dy, long gradient, nint workspace, nint context)
    {
        Plan plan = PlanOf(shape, ofWeight: true);
        lock (_lock)
        {
            library.SetStream(_handle, OrtNative.GetComputeStream(context));
            library.Run("cudnnConvolutionBackwardFilter", _handle, (plan.Images, x), (plan.Results, dy), plan.Convolution, plan.Algorithm,
                (workspace, plan.Bytes), (plan.Weight, gradient));
        }
    }

    /// <inheritdoc/>
    public override void InputGradient(in ConvShape shape, long weight, long dy, long gradient, nint workspace, nint context)
    {
        Plan plan = PlanOf(shape, ofWeight: false);
        lock (_lock)
        {
            library.SetStream(_handle, OrtNative.GetComputeStream(context));
            library.Run("cudnnConvolutionBackwardData", _handle, (plan.Weight, weight), (plan.Results, dy), plan.Convolution,
                plan.Algorithm, (workspace, plan.Bytes), (plan.Images, gradient));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Plan plan in _plans.Values)
        {
            library.DestroyTensor(plan.Images);
            library.DestroyTensor(plan.Results);
            library.DestroyFilter(plan.Weight);
            library.DestroyConvolution(plan.Convolution);
        }
        _plans.Clear();
        if (_handle != 0)
            library.Destroy(_handle);
        _handle = 0;
    }

    private Plan PlanOf(in ConvShape s, bool ofWeight)
    {
        lock (_lock)
        {
            if (_plans.TryGetValue((s, ofWeight), out Plan? known))
                return known;
            if (_handle == 0)
                _handle = library.Create();
            nint images = library.CreateTensor(s.BatchSize, s.Channels, s.Height, s.Width),
                results = library.CreateTensor(s.BatchSize, s.Outputs, s.OutputHeight, s.OutputWidth),
                weight = library.CreateFilter(s.Outputs, s.Channels, s.KernelHeight, s.KernelWidth),
                convolution = library.CreateConvolution(s, AllowsTensorFloat32);
            string kind = ofWeight ? "Filter" : "Data", chooser = _plans.Count < MostTrials
                ? $"cudnnFindConvolutionBackward{kind}Algorithm" : $"cudnnGetConvolutionBackward{kind}Algorithm_v7";
            (nint first, nint gradient) = ofWeight ? (images, weight) : (weight, images);
            ReadOnlySpan<Cudnn.AlgorithmRating> ratings = library.Rate(chooser, _handle, first, results, convolution, gradient);
            Cudnn.AlgorithmRating? chosen = null;
            foreach (Cudnn.AlgorithmRating rating in ratings)
            {
                if (rating.Status != 0 || (long)rating.Memory > MostBytes)
                    continue;
                if (chosen is null || (rating.IsDeterministic != 0 && chosen.Value.IsDeterministic == 0))
                    chosen = rating;
            }
            if (chosen is not Cudnn.AlgorithmRating best)
            {
                throw new DeviceException(
                    $"cuDNN has no algorithm for the gradient of a convolution of [{s.BatchSize}, {s.Channels}, {s.Height}, {s.Width}] "
                    + $"with [{s.Outputs}, {s.Channels}, {s.KernelHeight}, {s.KernelWidth}]. To go on without it, turn kernels off "
                    + "(--kernels off).");
            }
            return _plans[(s, ofWeight)] = new Plan(images, results, weight, convolution, best.Algorithm, (long)best.Memory);
        }
    }

    private sealed record Plan(nint Images, nint Results, nint Weight, nint Convolution, int Algorithm, long Bytes);
}
