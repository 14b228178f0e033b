using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Onnx;

/// <summary>A tensor in a model file and where it stands.</summary>
/// <param name="Tensor">The message itself, not a copy.</param>
/// <param name="Where">For messages: <c>initializer 'w'</c>, <c>attribute 'value' of node 'c'</c>.</param>
internal readonly record struct TensorSite(TensorProto Tensor, string Where);

/// <summary>Finds every tensor of a model: initializers, sparse ones, attributes, subgraphs, functions, training information.</summary>
internal static class ModelTensors
{
    internal static IEnumerable<TensorSite> All(ModelProto model) =>
    [
        .. model.Graph is null ? [] : Of(model.Graph),
        .. model.Functions.SelectMany(function => function.Node.SelectMany(Of)
            .Concat(function.AttributeProto.SelectMany(attribute => Of(attribute, $"function '{function.Name}'")))),
        .. model.TrainingInfo.SelectMany(info => new[] { info.Initialization, info.Algorithm }.OfType<GraphProto>().SelectMany(Of)),
    ];

    private static IEnumerable<TensorSite> Of(GraphProto graph) =>
    [
        .. graph.Initializer.Select(tensor => new TensorSite(tensor, $"initializer '{tensor.Name}'")),
        .. graph.SparseInitializer.SelectMany(sparse => Of(sparse, $"sparse initializer '{sparse.Values?.Name}'")),
        .. graph.Node.SelectMany(Of),
    ];

    private static IEnumerable<TensorSite> Of(NodeProto node) =>
        node.Attribute.SelectMany(attribute => Of(attribute, $"{node.OpType} node '{NameOf(node)}'"));

    private static IEnumerable<TensorSite> Of(AttributeProto attribute, string owner)
    {
        string where = $"attribute '{attribute.Name}' of {owner}";
        return
        [
            .. attribute.T is null ? [] : new[] { new TensorSite(attribute.T, where) },
            .. attribute.Tensors.Select(tensor => new TensorSite(tensor, where)),
            .. attribute.SparseTensor is null ? [] : Of(attribute.SparseTensor, where),
            .. attribute.SparseTensors.SelectMany(sparse => Of(sparse, where)),
            .. attribute.G is null ? [] : Of(attribute.G),
            .. attribute.Graphs.SelectMany(Of),
        ];
    }

    private static IEnumerable<TensorSite> Of(SparseTensorProto sparse, string where) =>
    [
        .. sparse.Values is null ? [] : new[] { new TensorSite(sparse.Values, $"values of {where}") },
        .. sparse.Indices is null ? [] : new[] { new TensorSite(sparse.Indices, $"indices of {where}") },
    ];

    /// <summary>Many exporters leave node names out; the first output is as good.</summary>
    internal static string NameOf(NodeProto node) =>
        node.Name.Length > 0 ? node.Name : node.Output.Count > 0 ? node.Output[0] : "";
}
