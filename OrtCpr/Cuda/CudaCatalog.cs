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
    /// <param name="launcher">Runs them.</param>
    /// <param name="convolutions">Computes gradients of convolutions; null for their bodies.</param>
    public CudaCatalog(KernelLauncher launcher, ConvolutionLibrary? convolutions)
    {
        _launcher = launcher;
        _table = new OperatorKernel[]
        {
            new CudaNormsOperator(SquaredNorm.Joined, launcher),
            new CudaOuterSumOperator(OuterSum.Definition, launcher),
            new CudaElementOperator(Gelu.Tanh, launcher),
            new CudaElementOperator(Gelu.TanhGrad, launcher),
            new CudaElementOperator(Gelu.Erf, launcher),
            new CudaElementOperator(Gelu.ErfGrad, launcher),
            new CudaElementOperator(Relu.Grad, launcher),
            new CudaEmbeddingGradOperator(Embedding.Grad, launcher),
            new CudaSoftmaxGradOperator(SoftmaxRows.Grad, launcher),
            new CudaCrossEntropyOperator(CrossEntropy.Rows, launcher, isGradient: false),
            new CudaCrossEntropyOperator(CrossEntropy.SmoothRows, launcher, isGradient: false),
            new CudaCrossEntropyOperator(CrossEntropy.RowsGrad, launcher, isGradient: true),
            new CudaCrossEntropyOperator(CrossEntropy.SmoothRowsGrad, launcher, isGradient: true),
            new CudaRowNormGradOperator(RowNormalization.LayerNormGrad, launcher, hasMean: true),
            new CudaRowNormGradOperator(RowNormalization.RmsNormGrad, launcher, hasMean: false),
            new CudaBatchNormOperator(BatchNormalization.Forward, launcher, relu: false),
            new CudaBatchNormOperator(BatchNormalization.Relu, launcher, relu: true),
            new CudaBatchNormOperator(BatchNormalization.AddRelu, launcher, relu: true),
            new CudaBatchNormGradOperator(BatchNormalization.Grad, launcher),
            new CudaBatchNormGradOperator(BatchNormalization.ReluGrad, launcher),
        }.ToDictionary(k => k.Definition);
        if (convolutions is null)
            return;
        _table[Convolution.WeightGrad] = new CudaConvWeightGradOperator(Convolution.WeightGrad, launcher, convolutions);
        _table[Convolution.InputGrad] = new CudaConvInputGradOperator(Convolution.InputGrad, launcher, convolutions);
    }

    /// <summary>The kernel of an operator; null where it has none.</summary>
    public OperatorKernel? Find(OperatorDefinition definition) => _table.TryGetValue(definition, out OperatorKernel? found) ? found
        : definition is JoinedDefinition joined ? CudaUpdateOperator.TryCreate(joined, _launcher) : null;
}
