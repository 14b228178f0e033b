using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using OrtCpr.CustomOps;

namespace OrtCpr.Sessions;

/// <summary>ONNX Runtime's own report of which provider each node of a session was assigned to (C API since 1.24; the managed
/// package has no method for it).</summary>
internal static unsafe class EpAssignment
{
    /// <summary>Has a session that is made with these options keep the report.</summary>
    public static void Record(SessionOptions options) => options.AddSessionConfigEntry("session.record_ep_graph_assignment_info", "1");

    /// <summary>The nodes of a session and of the bodies in it, with the provider of each. Texts belong to the session and
    /// are copied.</summary>
    /// <exception cref="InvalidOperationException">The session keeps no report.</exception>
    /// <exception cref="NotSupportedException">The managed package does not know the functions.</exception>
    public static IReadOnlyList<(string Provider, string Operator, string Node)> Of(InferenceSession session)
    {
        var found = new List<(string, string, string)>();
        foreach (nint part in List("Session_GetEpGraphAssignmentInfo", HandleOf(session)))
        {
            string provider = Text("EpAssignedSubgraph_GetEpName", part);
            foreach (nint node in List("EpAssignedSubgraph_GetNodes", part))
            {
                found.Add((provider, Text("EpAssignedNode_GetOperatorType", node), Text("EpAssignedNode_GetName", node)));
            }
        }
        GC.KeepAlive(session);
        return found;
    }

    private static nint[] List(string function, nint of)
    {
        nint* items;
        nuint count;
        OrtNative.Check(((delegate* unmanaged<nint, nint**, nuint*, nint>)OrtNative.Function(function))(of, &items, &count));
        return new Span<nint>(items, (int)count).ToArray();
    }

    private static string Text(string function, nint of)
    {
        byte* text;
        OrtNative.Check(((delegate* unmanaged<nint, byte**, nint>)OrtNative.Function(function))(of, &text));
        return Marshal.PtrToStringUTF8((nint)text) ?? "";
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_nativeHandle")]
    private static extern ref nint HandleOf(InferenceSession session);
}
