package dialect

// For tests outside of the package.
var ResponseCodeTable = responseCodes

// Class of a response code.
func (c responseCode) Class() byte { return c.class }
