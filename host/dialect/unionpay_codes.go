package dialect

import "meridian/switch"

// unionPayCodes are the response codes (F39) that differ from ISO 8583:1987's.
var unionPayCodes = map[switching.Reason]string{
	switching.PINFormat:    "99",
	switching.MACWrong:     "A0",
	switching.UnknownBatch: "77",
}

// unionPayCode of a reason.
func unionPayCode(r switching.Reason) string {
	if code, ok := unionPayCodes[r]; ok {
		return code
	}
	return codeOf(r)
}

// responseCode is what UnionPay's table says of a code: its class (A approved,
// B failed and may be tried again, C failed, D the operator must act, E a fault of
// the system), what it means, and what a terminal shows; without a text of its own
// it shows that the transaction failed.
type responseCode struct {
	class         byte
	meaning, text string
}

const (
	textFailed       = "交易失败"
	textCallIssuer   = "交易失败，请联系发卡行"
	textTryAgain     = "交易失败，请重试"
	textTryLater     = "交易失败，请稍后重试"
	textCallAcquirer = "没收卡，请联系收单行"
	textSignInAgain  = "校验错，请重新签到"
	textTimeout      = "交易超时，请重试"
	textPINTries     = "密码错误次数超限"
	textNotAccepted  = "此卡不能受理"
)

// responseCodes is the table (reference: UnionPay §12).
var responseCodes = map[string]responseCode{
	"00": {'A', "交易成功", "交易成功"},
	"01": {'C', "查发卡行", textCallIssuer},
	"02": {'C', "可电话向发卡行查询", "可电话向发卡行查询"},
	"03": {'C', "无效商户", "商户未登记"},
	"04": {'D', "没收卡", textCallAcquirer},
	"05": {'C', "不予承兑", textCallIssuer},
	"06": {'E', "出错", "出错"},
	"07": {'D', "特殊条件下没收卡", textCallAcquirer},
	"09": {'B', "请求正在处理中", textTryAgain},
	"10": {'A', "部分承兑", "部分承兑"},
	"11": {'A', "成功，VIP", "成功，VIP"},
	"12": {'C', "无效交易", textTryAgain},
	"13": {'B', "无效金额", "交易金额超限，请重试"},
	"14": {'B', "无效卡号", "无效卡号，请联系发卡行"},
	"15": {'C', "无此发卡行", textNotAccepted},
	"19": {'C', "重新送入交易", textCallIssuer},
	"20": {'C', "无效应答", ""},
	"21": {'C', "不做任何处理", ""},
	"22": {'C', "怀疑操作有误", "操作有误，请重试"},
	"23": {'C', "不可接受的交易费", ""},
	"25": {'C', "未能找到文件上记录", textCallIssuer},
	"30": {'C', "格式错误", textTryAgain},
	"31": {'C', "银联不支持的银行", textNotAccepted},
	"33": {'D', "过期的卡", "过期卡，请联系发卡行"},
	"34": {'D', "有作弊嫌疑", textCallAcquirer},
	"35": {'D', "", ""},
	"36": {'D', "受限制的卡", "此卡有误，请换卡重试"},
	"37": {'D', "没收卡", ""},
	"38": {'D', "超过允许的PIN试输入", textPINTries},
	"39": {'C', "无此信用卡账户", ""},
	"40": {'C', "请求的功能尚不支持", textCallIssuer},
	"41": {'D', "丢失卡", textCallAcquirer},
	"42": {'B', "无此账户", "交易失败，请联系发卡方"},
	"43": {'D', "被窃卡", textCallAcquirer},
	"44": {'C', "无此投资账户", ""},
	"51": {'C', "无足够的存款", "余额不足，请查询"},
	"52": {'C', "", ""},
	"53": {'C', "", ""},
	"54": {'C', "过期的卡", "过期卡，请联系发卡行"},
	"55": {'C', "不正确的PIN", "密码错，请重试"},
	"56": {'C', "无此卡记录", ""},
	"57": {'C', "不允许持卡人进行的交易", textCallIssuer},
	"58": {'C', "不允许终端进行的交易", "终端无效，请联系收单行或银联"},
	"59": {'C', "有作弊嫌疑", ""},
	"60": {'C', "", ""},
	"61": {'C', "超出取款金额限制", "金额太大"},
	"62": {'C', "受限制的卡", ""},
	"63": {'C', "违反安全保密规定", ""},
	"64": {'C', "原始金额不正确", "交易金额与原交易不匹配"},
	"65": {'C', "超出取款次数限制", ""},
	"66": {'C', "", "交易失败，请联系收单行或银联"},
	"67": {'C', "没收卡", ""},
	"68": {'C', "收到的回答太迟", textTimeout},
	"75": {'C', "允许的输入PIN次数超限", textPINTries},
	"77": {'D', "需要向网络中心签到", "请向网络中心签到"},
	"79": {'C', "脱机交易对账不平", "POS终端重传脱机数据"},
	"90": {'C', "日期切换正在处理", textTryLater},
	"91": {'C', "发卡行或银联不能操作", textTryLater},
	"92": {'C', "机构找不到或无法达到", ""},
	"93": {'C', "交易违法", ""},
	"94": {'C', "重复交易", textTryLater},
	"95": {'C', "调节控制错", ""},
	"96": {'C', "系统异常", textTryLater},
	"97": {'D', "POS终端号找不到", "终端未登记，请联系收单行或银联"},
	"98": {'E', "银联收不到发卡行应答", textTimeout},
	"99": {'B', "PIN格式错", textSignInAgain},
	"A0": {'B', "MAC校验错", textSignInAgain},
	"A1": {'C', "转账货币不一致", ""},
	"A2": {'A', "有缺陷的成功", ""},
	"A3": {'C', "账户不正确", ""},
	"A4": {'A', "有缺陷的成功", ""},
	"A5": {'A', "有缺陷的成功", ""},
	"A6": {'A', "有缺陷的成功", ""},
	"A7": {'C', "安全处理失败", ""},
}

// shownFor is what a terminal shows for a code.
func shownFor(code string) string {
	c, ok := responseCodes[code]
	switch {
	case ok && c.text != "":
		return c.text
	case ok && c.class == 'A':
		return responseCodes["00"].text
	default:
		return textFailed
	}
}
