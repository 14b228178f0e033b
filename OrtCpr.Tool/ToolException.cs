using OrtCpr.Graph;

namespace OrtCpr.Tool;

/// <summary>The command line does not make sense; the message says what was expected.</summary>
internal sealed class ToolException(string message) : OrtCprException(message);
