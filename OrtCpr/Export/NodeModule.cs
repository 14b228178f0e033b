using System.Text.RegularExpressions;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Export;

/// <summary>The PyTorch module that a node was exported from.</summary>
internal static partial class NodeModule
{
    private const string ScopesKey = "pkg.torch.onnx.name_scopes";

    /// <summary>The older exporter names a node by its module's path and its operator, /encoder/fc/MatMul. The newer
    /// one writes a Python list of the modules around the node, outermost first and each by its whole path, and of the
    /// node itself after them: ['', 'encoder', 'encoder.fc', 'linear'].</summary>
    public static string? Of(NodeProto node)
    {
        if (node.MetadataProps.FirstOrDefault(p => p.Key == ScopesKey) is { } scopes)
        {
            string[] names = [.. PythonText().Matches(scopes.Value).Select(m => m.Groups[1].Value)];
            return names.Length >= 2 && names[^2].Length > 0 ? names[^2] : null;
        }
        string[] path = node.Name.Split('/', StringSplitOptions.RemoveEmptyEntries);
        return path.Length < 2 ? null : string.Join('.', path[..^1]);
    }

    [GeneratedRegex("['\"]([^'\"]*)['\"]")]
    private static partial Regex PythonText();
}
