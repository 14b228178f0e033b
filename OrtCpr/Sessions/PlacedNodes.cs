using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Sessions;

// Reads from a graph that ONNX Runtime has saved after placing its nodes which of them run on the CPU: those that read from or feed a copy between
// the devices, on the host's side of it.
internal static class PlacedNodes
{
    private const string ToHost = "MemcpyToHost", FromHost = "MemcpyFromHost";

    public static IEnumerable<string> OnCpu(string path)
    {
        using FileStream file = File.OpenRead(path);
        GraphProto graph = ModelProto.Parser.ParseFrom(file).Graph;
        var fromDevice = graph.Node.Where(n => n.OpType == ToHost).SelectMany(n => n.Output).ToHashSet(StringComparer.Ordinal);
        var toDevice = graph.Node.Where(n => n.OpType == FromHost).SelectMany(n => n.Input).ToHashSet(StringComparer.Ordinal);
        return graph.Node
            .Where(n => n.OpType is not (ToHost or FromHost) && (n.Input.Any(fromDevice.Contains) || n.Output.Any(toDevice.Contains)))
            .Select(n => $"{n.OpType} '{(n.Name.Length > 0 ? n.Name : n.Output[0])}'");
    }
}
