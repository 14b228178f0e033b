using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>The kernels for float32 tensors on the CPU, registered against the definitions of their operators.</summary>
internal static class KernelCatalog
{
    /// <summary>A new fused operator is its definition and a row here.</summary>
    private static readonly Dictionary<OperatorDefinition, OperatorKernel> Table = new OperatorKernel[]
    {
        new SquaredNormOperator(SquaredNorm.Definition),
        new SquaredNormsOperator(SquaredNorm.Joined),
        new SumOverRanksOperator(null),
        new ElementOperator<ElementFormulas.GeluTanh>(Gelu.Tanh),
        new ElementOperator<ElementFormulas.GeluTanhGrad>(Gelu.TanhGrad),
        new ElementOperator<ElementFormulas.GeluErf>(Gelu.Erf),
        new ElementOperator<ElementFormulas.GeluErfGrad>(Gelu.ErfGrad),
        new ElementOperator<ElementFormulas.ReluGrad>(Relu.Grad),
        new BatchNormOperator(BatchNormalization.Forward, relu: false),
        new BatchNormOperator(BatchNormalization.Relu, relu: true),
        new BatchNormOperator(BatchNormalization.AddRelu, relu: true),
        new BatchNormGradOperator(BatchNormalization.Grad),
        new BatchNormGradOperator(BatchNormalization.ReluGrad),
        new SoftmaxOperator(SoftmaxRows.Forward),
        new SoftmaxGradOperator(SoftmaxRows.Grad),
        new LayerNormGradOperator(RowNormalization.LayerNormGrad, hasMean: true),
        new LayerNormGradOperator(RowNormalization.RmsNormGrad, hasMean: false),
        new EmbeddingGradOperator(Embedding.Grad),
        new CrossEntropyRowsOperator(CrossEntropy.Rows),
        new CrossEntropyRowsOperator(CrossEntropy.SmoothRows),
        new CrossEntropyRowsGradOperator(CrossEntropy.RowsGrad),
        new CrossEntropyRowsGradOperator(CrossEntropy.SmoothRowsGrad),
        new ConvForwardOperator(Convolution.Forward, hasBias: false),
        new ConvForwardOperator(Convolution.ForwardBias, hasBias: true),
        new ConvWeightGradOperator(Convolution.WeightGrad),
        new ConvInputGradOperator(Convolution.InputGrad),
    }.ToDictionary(k => k.Definition);

    /// <summary>The kernel of an operator; null where it has none.</summary>
    public static OperatorKernel? Find(OperatorDefinition definition) => Table.TryGetValue(definition, out OperatorKernel? found) ? found
        : definition is UpdateDefinition or JoinedDefinition ? UpdateOperator.TryCreate(definition) : null;

    /// <summary>Whether an operator has a kernel.</summary>
    public static bool Supports(OperatorDefinition definition) => Find(definition) is not null;
}
