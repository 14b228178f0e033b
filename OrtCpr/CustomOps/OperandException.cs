namespace OrtCpr.CustomOps;

/// <summary>A node whose operands do not fit together. It never leaves the process boundary: ORT reports it as its own error.</summary>
internal sealed class OperandException(string message) : Exception(message);
