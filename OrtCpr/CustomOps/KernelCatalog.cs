using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>The operators of domain <c>ortcpr</c> that have a kernel for float32 tensors on the CPU.</summary>
internal static class KernelCatalog
{
    // Hundreds of combinations, of which a graph uses a few: operators are made when asked for.
    private static readonly Dictionary<string, Lazy<CpuOperator>> ByName = UpdateVariant.All
        .Select(variant => (variant.Name, new Lazy<CpuOperator>(() => new UpdateOperator(variant))))
        .Concat(new CpuOperator[]
        {
            new SquaredNormOperator(),
            new ElementOperator<ElementFormulas.GeluTanh>("GeluTanh"),
            new ElementOperator<ElementFormulas.GeluTanhGrad>("GeluTanhGrad"),
            new ElementOperator<ElementFormulas.ReluGrad>("ReluGrad"),
            new BatchNormOperator("BatchNorm", hasSkip: false, relu: false),
            new BatchNormOperator("BatchNormRelu", hasSkip: false, relu: true),
            new BatchNormOperator("BatchNormAddRelu", hasSkip: true, relu: true),
            new BatchNormGradOperator("BatchNormGrad", relu: false),
            new BatchNormGradOperator("BatchNormReluGrad", relu: true),
            new SoftmaxOperator(),
            new SoftmaxGradOperator(),
            new LayerNormGradOperator("LayerNormGrad", hasMean: true),
            new LayerNormGradOperator("RmsNormGrad", hasMean: false),
            new ElementOperator<ElementFormulas.GeluErf>("GeluErf"),
            new ElementOperator<ElementFormulas.GeluErfGrad>("GeluErfGrad"),
            new CrossEntropyRowsOperator("CrossEntropyRows", isSmooth: false),
            new CrossEntropyRowsGradOperator("CrossEntropyRowsGrad", isSmooth: false),
            new CrossEntropyRowsOperator("CrossEntropySmoothRows", isSmooth: true),
            new CrossEntropyRowsGradOperator("CrossEntropySmoothRowsGrad", isSmooth: true),
            new ConvForwardOperator(hasBias: false),
            new ConvForwardOperator(hasBias: true),
            new ConvWeightGradOperator(),
            new ConvInputGradOperator(),
        }.Select(item => (item.Name, new Lazy<CpuOperator>(item))))
        .ToDictionary(item => item.Item1, item => item.Item2);

    /// <summary>All names, in no particular order.</summary>
    public static IReadOnlyCollection<string> Names => ByName.Keys;

    /// <summary>Whether a kernel of that name exists.</summary>
    public static bool Supports(string operatorName) => ByName.ContainsKey(operatorName);

    /// <summary>The operator of that name.</summary>
    /// <exception cref="ArgumentException">There is none.</exception>
    public static CpuOperator Get(string operatorName) => ByName.TryGetValue(operatorName, out Lazy<CpuOperator>? found)
        ? found.Value
        : throw new ArgumentException($"No kernel for operator 'ortcpr.{operatorName}'.", nameof(operatorName));
}
