namespace OrtCpr.CustomOps;

/// <summary>The operators of domain <c>ortcpr</c> that have a kernel for float32 tensors on the CPU.</summary>
internal static class KernelCatalog
{
    private static readonly Dictionary<string, CpuOperator> ByName = UpdateVariant.All
        .Select(variant => (CpuOperator)new UpdateOperator(variant))
        .Append(new SquaredNormOperator())
        .ToDictionary(item => item.Name);

    /// <summary>All names, in no particular order.</summary>
    public static IReadOnlyCollection<string> Names => ByName.Keys;

    /// <summary>Whether a kernel of that name exists.</summary>
    public static bool Supports(string operatorName) => ByName.ContainsKey(operatorName);

    /// <summary>The operator of that name.</summary>
    /// <exception cref="ArgumentException">There is none.</exception>
    public static CpuOperator Get(string operatorName) => ByName.TryGetValue(operatorName, out CpuOperator? found)
        ? found
        : throw new ArgumentException($"No kernel for operator 'ortcpr.{operatorName}'.", nameof(operatorName));
}
