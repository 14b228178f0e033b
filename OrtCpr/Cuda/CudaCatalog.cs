using OrtCpr.CustomOps;
using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Cuda;

/// <summary>The kernels for float32 tensors on a GPU, registered against the definitions of their operators. What has none
/// runs as its body of standard operators.</summary>
internal sealed class CudaCatalog
{
    private readonly Dictionary<OperatorDefinition, OperatorKernel> _table;
    private readonly KernelLauncher _launcher;

    /// <summary>A new fused operator on the GPU is a row here, and its kernels in <c>OrtCpr.CudaKernels</c>.</summary>
    public CudaCatalog(KernelLauncher launcher)
    {
        _launcher = launcher;
        _table = new OperatorKernel[]
        {
            new CudaNormsOperator(SquaredNorm.Joined, launcher),
        }.ToDictionary(k => k.Definition);
    }

    /// <summary>The kernel of an operator; null where it has none.</summary>
    public OperatorKernel? Find(OperatorDefinition definition) => _table.TryGetValue(definition, out OperatorKernel? found) ? found
        : definition is JoinedDefinition joined ? CudaUpdateOperator.TryCreate(joined, _launcher) : null;
}
